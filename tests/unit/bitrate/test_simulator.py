from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.bench.abr.baselines import BufferBased, Rate, affordable_rung, bola_rung
from infra.bench.abr.compare import TraceSet, fold_of, paired_gain
from infra.bench.abr.mpc import ModelPredictive, best_first_rung
from infra.bench.abr.optimum import optimal_qoe
from infra.bench.abr.player import Policy, Seen, late, score, stream
from infra.bench.abr.trace import Trace, arrival_s, make_trace, read_trace
from infra.bench.abr.video import Video

KBPS_FOR_A_MEGABYTE_A_SECOND = 8000 / 0.95


class Always:
    """One rung, whatever was seen; remembers that."""

    def __init__(self, rung: int) -> None:
        self._rung = rung
        self.seen: list[Seen] = []

    def choose(self, seen: Seen) -> int:
        self.seen.append(seen)
        return self._rung


def a_video(chunks: int = 4) -> Video:
    """Rungs of 1, 2 and 4 Mbit/s; chunks of 4 s with exactly so many bytes."""
    sizes = np.tile(np.array([0.5e6, 1e6, 2e6]), (chunks, 1))
    return Video(name="v", chunk_s=4.0, bitrates_kbps=(1000.0, 2000.0, 4000.0), sizes_bytes=sizes)


def a_trace(*rates_megabytes: float, step_s: float = 1.0) -> Trace:
    """Payload of so many megabytes a second, one step after the other."""
    rates = np.array([0.0, *rates_megabytes]) * KBPS_FOR_A_MEGABYTE_A_SECOND
    return make_trace("t", step_s * np.arange(len(rates), dtype=np.float64), rates)


def a_wave(period: int = 40, low: float = 0.05, high: float = 0.6) -> Trace:
    steps = np.arange(4 * period)
    rates = low + (high - low) * (0.5 + 0.5 * np.sin(2 * np.pi * steps / period))
    return a_trace(*rates)


def arrive(trace: Trace, start_s: float, size_bytes: float) -> float:
    return arrival_s(trace.times_s, trace.received_bytes, start_s, size_bytes)


def test_bytes_flow_at_the_rate_of_each_step_and_the_trace_starts_again() -> None:
    trace = a_trace(1.0, 0.5, 2.0)
    assert arrive(trace, 0.0, 1e6) == pytest.approx(1.0)
    assert arrive(trace, 0.5, 0.75e6) == pytest.approx(1.5)
    assert arrive(trace, 2.5, 1.5e6) == pytest.approx(3.5)
    assert arrive(trace, 3.5, 3.5e6 + 0.5e6) == pytest.approx(7.0)
    assert arrive(trace, 0.0, 3.5e6) == pytest.approx(3.0)


def test_nothing_arrives_while_nothing_flows() -> None:
    trace = a_trace(1.0, 0.0, 1.0)
    assert arrive(trace, 0.0, 1e6) == pytest.approx(1.0)
    assert arrive(trace, 1.0, 0.25e6) == pytest.approx(2.25)


def test_a_session_is_as_computed_by_hand() -> None:
    """1 MB/s for 2 s, then 0.25 MB/s: the second chunk of 2 MB stalls."""
    trace = a_trace(1.0, 1.0, *[0.25] * 40)
    session = stream(trace, a_video(3), Always(2))
    # Chunk 1: 1 MB in 1 s. Chunk 2: 1 MB by 2 s, the other one takes 4 s. Chunk 3: 8 s.
    assert session.download_s == pytest.approx([1.08, 5.08, 8.08])
    assert session.buffers_s == pytest.approx([0.0, 4.0, 4.0])
    assert session.stall_s == pytest.approx([1.08, 1.08, 4.08])
    found = score("t", session, a_video(3))
    stall_s = 1.08 + 4.08
    assert found.qoe == pytest.approx(((4 - 2) + 4 - 4 * stall_s) / 2)
    assert found.kbps == pytest.approx(4000)
    assert found.rebuf_pct == pytest.approx(100 * stall_s / (stall_s + 12))
    assert found.sw_min == pytest.approx(60 / 12)
    assert found.dq == pytest.approx(1.0)
    assert found.startup_s == pytest.approx(1.08)


def test_a_full_buffer_sleeps_in_half_seconds_that_use_up_the_trace() -> None:
    session = stream(a_trace(*[100.0] * 100), a_video(20), Always(0))
    assert max(session.buffers_s) <= 60.0
    assert session.asked_s[19] - session.asked_s[18] == pytest.approx(4.0, abs=0.51)


def test_a_policy_sees_only_the_past() -> None:
    policy = Always(1)
    stream(a_trace(1.0, 0.5), a_video(4), policy)
    assert [seen.chunk for seen in policy.seen] == [1, 2, 3]
    assert [len(seen.sizes_bytes) for seen in policy.seen] == [1, 2, 3]
    assert all(seen.flight == () for seen in policy.seen)


def test_a_late_report_leaves_a_chunk_in_flight_and_is_rounded() -> None:
    policy = Always(2)
    stream(a_trace(0.3, 0.7), a_video(4), policy)
    seen = late(policy.seen[2], 1)
    assert seen.flight == (2,)
    assert len(seen.sizes_bytes) == len(seen.download_s) == 2
    assert seen.buffer_s == pytest.approx(policy.seen[1].buffer_s, abs=0.05)
    assert seen.buffer_s * 10 == pytest.approx(round(seen.buffer_s * 10))
    assert len(late(policy.seen[0], 1).sizes_bytes) == 1, "the first report is waited for"


def test_rate_and_buffer_rules() -> None:
    video = a_video()
    assert [affordable_rung(video, kbps) for kbps in (1, 1000, 2500, 9999)] == [0, 0, 1, 2]
    assert [bola_rung(video, buffer_s, 10.0, 30.0) for buffer_s in (0.0, 35.0)] == [0, 2]
    policy = Always(1)
    stream(a_trace(1.0), video, policy)
    assert Rate().choose(policy.seen[0]) == 2
    assert BufferBased().choose(policy.seen[0]) == 0


def test_mpc_takes_the_last_of_plans_that_tie() -> None:
    """A change up and down again costs as much as it gains: published figures have it so."""
    no_cost = np.zeros((1, 2))
    rates = np.array([1000.0, 2000.0])
    assert best_first_rung(no_cost, rates, 10.0, 0, 4.0, 2.0) == 1


def test_mpc_does_not_plan_to_stall() -> None:
    policy = Always(1)
    stream(a_trace(0.2), a_video(4), policy)
    assert ModelPredictive(is_robust=True).choose(policy.seen[1]) == 0


@pytest.mark.parametrize("rung", [0, 1, 2])
def test_no_policy_is_better_than_the_optimum(rung: int) -> None:
    video = a_video(20)
    for trace in (a_wave(), a_wave(period=17), a_trace(*[0.4] * 10, *[0.02] * 10)):
        best = optimal_qoe(trace, video)
        policies: list[Policy] = [Always(rung), ModelPredictive(is_robust=rung > 0), Rate()]
        for policy in policies:
            found = score("t", stream(trace, video, policy), video).qoe
            assert found <= best + 0.02 * abs(best)


def test_the_optimum_of_plenty_is_one_change_to_the_top() -> None:
    best = optimal_qoe(a_trace(100.0), a_video(11))
    assert best == pytest.approx(4.0 - 2.0 / 10)


@given(
    st.lists(st.floats(0.01, 50), min_size=1, max_size=20),
    st.lists(st.floats(1, 5e7), min_size=1, max_size=20),
)
def test_downloads_in_parts_take_as_long_as_in_one(
    rates: list[float], parts_bytes: list[float]
) -> None:
    trace = a_trace(*rates)
    now_s = 0.0
    for part in parts_bytes:
        arrived_s = arrive(trace, now_s, part)
        assert arrived_s > now_s
        now_s = arrived_s
    assert math.isclose(now_s, arrive(trace, 0.0, sum(parts_bytes)), rel_tol=1e-6, abs_tol=1e-6)


def test_a_trace_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "walk_1.csv"
    path.write_text("t_seconds,throughput_kbps\n0.0,9\n2.0,8000\n3.0,0\n")
    trace = read_trace(path)
    assert trace.name == "walk_1"
    assert trace.received_bytes[-1] == pytest.approx(2e6 * 0.95)


@pytest.mark.parametrize("text", ["0,1\n", "0,1\n0,1\n", "0,1\n1,-1\n", "0,1\n1,0\n", "1,1\n2,1\n"])
def test_what_is_no_trace_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("t_seconds,throughput_kbps\n" + text)
    with pytest.raises(ValueError, match="trace bad"):
        read_trace(path)


def test_cuts_of_one_drive_are_in_one_fold() -> None:
    cut = TraceSet(name="s", folder="s", video="v", cut=r"_w\d+$")
    trace = a_trace(1.0)
    traces = [
        Trace(name=f"drive_w{start}", times_s=trace.times_s, received_bytes=trace.received_bytes)
        for start in (0, 240, 480)
    ]
    assert len({fold_of(each, cut) for each in traces}) == 1


def test_a_paired_difference_has_an_interval() -> None:
    gain, error = paired_gain([2.0, 3.0, 4.0], [1.0, 2.0, 3.0])
    assert (gain, error) == (1.0, 0.0)
    assert paired_gain([2.0], [1.0]) == (1.0, 0.0)
