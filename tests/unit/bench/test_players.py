"""What the players' bench makes of what it saw: scores, intervals, networks, what is missing."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.bench.abr.trace import make_trace
from infra.bench.players.measuring import Plan
from infra.bench.players.networks import choose_networks, is_demanding, recording_from, start_s
from infra.bench.players.results import (
    LATE_S_MAX,
    Pair,
    Results,
    paired_interval,
    read_results,
    rows_of,
    student_t95,
    with_pair,
    write_results,
)
from infra.bench.players.score import PlayFailedError, Shown, Watched, score_play, stalls_of
from infra.bench.players.table import markdown, pair_line, plain
from infra.bench.players.title import HEIGHTS, RATES_KBPS, as_declared, job_of
from infra.edge.link import RecordedRate
from tests.builders import a_title

KBPS_OF = {80: 300, 100: 750, 180: 4300}
EMPTY = Results(seed=1, seconds=60, buffer_s=30, machine="a machine")


def samples_of(*parts: tuple[float, float, int]) -> tuple[tuple[float, float, int], ...]:
    """Tenths of seconds; each part: how long, at what speed, on which height."""
    samples, at, playhead_s = [(0.0, 0.0, 0)], 0, 0.0
    for seconds, speed, height in parts:
        for _ in range(round(seconds * 10)):
            at += 1
            playhead_s += speed / 10
            samples.append((at / 10, playhead_s, height))
    return tuple(samples)


def watched(qoe: float, *, stall_s: float = 0.0, late_s: float = 0.0) -> Watched:
    return Watched(
        qoe=qoe,
        kbps=1000,
        stalls=int(stall_s > 0),
        stall_s=stall_s,
        switches=1,
        startup_s=1.0,
        segments=30,
        decisions=2,
        page_late_s=late_s,
    )


def pair(run: int, ours: float, theirs: float, *, late_s: float = 0.0) -> Pair:
    return Pair(
        player="shaka",
        network="set/name",
        run=run,
        start_s=0,
        product=watched(ours, late_s=late_s),
        alone=watched(theirs),
    )


def test_a_play_is_worth_its_rates_less_stalls_less_changes() -> None:
    samples = samples_of((1, 0, 0), (4.05, 1, 80), (1, 0, 80), (4, 1, 100), (2, 1, 80))
    scored = score_play(Shown(samples=samples), KBPS_OF, segment_s=2, sample_s=0.1)
    # Segments at 300, 300, 750, 750, 300: the first is left out, a second stalled costs 4.3.
    assert scored.segments == 5
    assert scored.stalls == 1
    assert scored.stall_s == pytest.approx(1.0)
    assert scored.qoe == pytest.approx((0.3 + 0.75 + 0.75 + 0.3 - 4.3 - 0.45 - 0.45) / 4)
    assert scored.kbps == pytest.approx(525)
    assert scored.switches == 2
    assert scored.startup_s == pytest.approx(1.1)
    assert scored.page_late_s == pytest.approx(0, abs=1e-9)


@given(st.lists(st.floats(0.5, 5), min_size=1, max_size=6))
def test_stalled_and_played_time_make_the_whole(stalls_s: list[float]) -> None:
    parts = [part for stall_s in stalls_s for part in ((1.0, 1.0, 80), (stall_s, 0.0, 80))]
    found = stalls_of(samples_of((0.1, 1, 80), *parts))
    assert len(found) == len(stalls_s)
    assert sum(found) == pytest.approx(sum(round(each * 10) / 10 for each in stalls_s))


def test_what_never_began_or_broke_off_has_no_score() -> None:
    for shown in (
        Shown(samples=samples_of((5, 0, 0))),
        Shown(samples=samples_of((9, 1, 80)), problem="decoder"),
    ):
        with pytest.raises(PlayFailedError):
            score_play(shown, KBPS_OF, segment_s=2, sample_s=0.1)


def test_a_recording_begins_anywhere_and_goes_round() -> None:
    trace = make_trace("t", np.array([0.0, 4.0, 10.0]), np.array([0.0, 1000.0, 500.0]))
    rate = RecordedRate(recording_from(trace, 3.0).rates)
    laps = np.concatenate([trace.received_bytes + n * trace.received_bytes[-1] for n in range(4)])
    times_s = np.concatenate([trace.times_s + n * 10 for n in range(4)])
    begun = np.interp(3.0, times_s, laps)
    for later_s in (0.5, 2.0, 6.9, 7.5, 11.0, 25.0):
        flowed = np.interp(3.0 + later_s, times_s, laps) - begun
        assert rate.flowed_bytes(later_s) == pytest.approx(flowed)


def test_networks_are_drawn_by_the_seed_from_those_that_ask_something(tmp_path: Path) -> None:
    for folder in ("hsdpa", "fcc", "oboe", "puffer"):
        (tmp_path / "traces" / folder).mkdir(parents=True)
        for number, rates in enumerate([(2000, 400), (1500, 300), (1000, 1000), (90000, 1)]):
            rows = "".join(f"{at + 1},{rate}\n" for at, rate in enumerate(rates))
            path = tmp_path / "traces" / folder / f"t{number}.csv"
            path.write_text(f"t_seconds,throughput_kbps\n0,0\n{rows}")
    drawn = choose_networks(tmp_path, "6", 3)
    assert list(drawn) == list(choose_networks(tmp_path, "6", 3))
    assert len(drawn) == 6
    assert all(is_demanding(trace) for trace in drawn.values())
    with pytest.raises(ValueError, match="too few"):
        choose_networks(tmp_path, "9", 3)
    (only,) = choose_networks(tmp_path, "oboe/t2", 3)
    assert only == "oboe/t2"
    trace = drawn[next(iter(drawn))]
    assert start_s("a", trace, 0, 1) == start_s("a", trace, 0, 1) != start_s("a", trace, 1, 1)


def test_what_was_made_is_not_made_again_but_where_the_machine_was_busy(tmp_path: Path) -> None:
    trace = make_trace("t", np.array([0.0, 1.0]), np.array([0.0, 1000.0]))
    plan = Plan(players=("shaka",), networks={"set/name": trace}, runs=3, parallel=2)
    results = with_pair(EMPTY, pair(1, 1.0, 0.5))
    results = with_pair(results, pair(2, 1.0, 0.5, late_s=2 * LATE_S_MAX))
    write_results(tmp_path / "out.json", results)
    found = read_results(tmp_path / "out.json", EMPTY)
    assert found == results
    assert plan.missing(found) == [("shaka", "set/name", 0), ("shaka", "set/name", 2)]
    with pytest.raises(ValueError, match="--seed 1 --seconds 60 --buffer 30"):
        read_results(tmp_path / "out.json", msgspec.structs.replace(EMPTY, seconds=90))


def test_differences_are_paired_and_disturbed_pairs_left_out() -> None:
    results = EMPTY
    for run, (ours, theirs) in enumerate([(1.0, 0.5), (2.0, 1.4), (3.0, 2.6)]):
        results = with_pair(results, pair(run, ours, theirs))
    results = with_pair(results, pair(7, 99.0, 0.0, late_s=2 * LATE_S_MAX))
    broken = Pair(player="shaka", network="set/name", run=8, start_s=0, problem="alone: decoder")
    results = with_pair(results, broken)
    (row,) = rows_of(results)
    assert (row.runs, row.failed) == (3, 1)
    assert row.qoe == pytest.approx((2.0, 1.5))
    assert row.qoe_more == pytest.approx((0.5, 4.303 * 0.1 / 3**0.5), rel=1e-3)
    assert "1 runs failed, 1 do not count" in markdown(results)
    assert "+0.50 ± 0.25" in plain(results)
    assert pair_line(broken).endswith("failed alone: decoder")


def test_the_interval_is_students() -> None:
    for degrees, quantile in ((1, 12.706), (2, 4.303), (3, 3.182), (9, 2.262), (30, 2.042)):
        assert student_t95(degrees) == pytest.approx(quantile, rel=2e-3)
    assert paired_interval([1.0]) == (1.0, float("inf"))


def test_the_title_has_rungs_that_its_height_tells() -> None:
    job = job_of(61, "r1")
    assert job.draft.duration_ms == 60_000
    assert [rung.height for rung in job.encoding.rungs] == list(HEIGHTS)
    assert all(rung.width % 2 == 0 for rung in job.encoding.rungs)


def test_players_are_told_the_nominal_rates() -> None:
    made = a_title(video=a_title().video[:1] * len(RATES_KBPS))
    told = as_declared(made).video
    assert tuple(each.bitrate_kbps for each in told) == RATES_KBPS
    assert tuple(each.average_bitrate_kbps for each in told) == RATES_KBPS
