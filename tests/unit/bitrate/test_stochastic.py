from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.bitrate.memory import Circumstances
from agents.bitrate.population import GRID_S, Population, curve_of
from agents.bitrate.rollout import Outcomes, Stage, play_futures
from agents.bitrate.scenarios import error_curves, imagine, imagine_start
from agents.bitrate.situation import FEATURES, describe, errors_of, estimate_rate
from agents.bitrate.stochastic import Plan, Request, choose_rung

NOWHERE = Circumstances()
MEGA = 1e6

downloads = st.lists(
    st.tuples(st.floats(1e3, 1e8), st.floats(0.001, 60.0)), min_size=1, max_size=40
)


def a_request(
    rate: float = MEGA,
    *,
    buffer_s: float = 20.0,
    last: int = 1,
    reports: int = 8,
    flight_bytes: tuple[float, ...] = (),
    rungs: int = 4,
    chunks: int = 16,
) -> Request:
    """Rungs of 1, 2, 4, 8 Mbit/s in chunks of 4 s, over a network of `rate` bytes/s."""
    quality = np.array([2.0**rung for rung in range(rungs)])
    return Request(
        reported_bytes=np.full(reports, MEGA),
        reported_s=np.full(reports, MEGA / rate),
        flight_bytes=np.array(flight_bytes),
        sizes_bytes=np.tile(quality * MEGA / 2, (chunks, 1)),
        quality=quality,
        last=last,
        buffer_s=buffer_s,
        buffer_s_max=60.0,
        chunk_s=4.0,
        chunks_beyond=30,
        circumstances=NOWHERE,
        now_ms=0,
    )


def a_stage(**changes: object) -> Stage:
    stage = Stage(
        sizes_bytes=np.tile(np.array([1.0, 2.0]) * MEGA, (3, 1)),
        quality=np.array([1.0, 2.0]),
        flight_bytes=np.zeros(0),
        last=0,
        buffer_s=8.0,
        buffer_s_max=60.0,
        chunk_s=4.0,
        stall_cost=2.0,
        first_stall_cost=2.0,
    )
    return msgspec.structs.replace(stage, **changes)


def steady(rate: float) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return (rate * GRID_S)[None, :].copy()


def play(stage: Stage, curves: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Outcomes:
    """Both first rungs through these futures, where the buffer left is worth nothing."""
    return play_futures(stage, np.arange(2), GRID_S, curves, np.zeros(len(curves)), 15.0)


def test_a_plan_is_worth_what_a_player_would_get() -> None:
    """1 MB/s: the upper rung takes 2 s, the lower one 1 s; nothing stalls, a change costs 1."""
    outcomes = play(a_stage(), steady(MEGA))
    assert outcomes.values[0] == pytest.approx([4.0, 5.0])
    assert not outcomes.tails.any()
    assert not outcomes.stalls_s.any()


def test_a_plan_that_cannot_be_held_gives_way() -> None:
    """The upper rung would take 20 s a chunk: after the first one the plan falls to the lower."""
    outcomes = play(a_stage(), steady(MEGA / 10))
    assert outcomes.stalls_s[0, 1] == pytest.approx((20 - 8) + (10 - 4) + (10 - 4))
    assert outcomes.values[0, 1] == pytest.approx(1 + 0 + 1 - 2 * outcomes.stalls_s[0, 1])


def test_what_is_in_flight_arrives_first() -> None:
    """6 MB in flight at 0.5 MB/s empty a buffer of 8 s and stall for 4 more."""
    outcomes = play(a_stage(flight_bytes=np.array([6 * MEGA])), steady(MEGA / 2))
    assert outcomes.stalls_s[0, 0] == pytest.approx(4.0)


def test_a_wait_before_the_first_picture_costs_what_the_caller_says() -> None:
    outcomes = play(a_stage(buffer_s=0.0, last=-1, first_stall_cost=0.5), steady(MEGA))
    assert outcomes.stalls_s[0, 1] == pytest.approx(2.0)
    assert outcomes.values[0, 1] == pytest.approx(3 * 2.0 - 0.5 * 2.0)


@given(st.floats(1e4, 1e8), st.floats(0, 60))
def test_a_faster_network_is_never_worth_less(rate: float, buffer_s: float) -> None:
    stage = a_stage(buffer_s=buffer_s)
    curves = np.concatenate([steady(rate), steady(1.5 * rate)])
    outcomes = play(stage, curves)
    assert np.all(outcomes.values[1] >= outcomes.values[0] - 1e-9)


@given(downloads)
def test_any_past_has_finite_features_and_futures(past: list[tuple[float, float]]) -> None:
    sizes, seconds = np.array(past).T
    described = describe(sizes, seconds)
    assert described.shape == (FEATURES,)
    assert np.isfinite(described).all()
    futures = imagine(sizes, seconds, Population(), NOWHERE, 0)
    assert np.isfinite(futures.curves_bytes).all()
    assert (np.diff(futures.curves_bytes, axis=1) >= 0).all()
    assert futures.weights.sum() == pytest.approx(1.0)
    assert futures.population_share == 0.0


def test_errors_are_measured_over_estimated_before() -> None:
    assert errors_of(np.array([2.0, 1.0, 4.0]), 20) == pytest.approx([0.5, 3.0])
    assert errors_of(np.array([2.0]), 20).size == 0
    assert estimate_rate(np.array([9.0, 1.0, 1.0, 1.0, 1.0, 1.0])) == pytest.approx(1.0)


def test_an_error_holds_and_then_fades() -> None:
    curve = error_curves(np.array([4.0]))[0]
    assert curve[list(GRID_S).index(12.0)] == pytest.approx(48.0)
    assert curve[-1] == pytest.approx(48.0 + 2.0 * (GRID_S[-1] - 12.0))


def test_a_curve_goes_on_at_its_mean() -> None:
    curve = curve_of(np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    assert curve[:4] == pytest.approx([0.0, 1.0, 4.0, 6.0])


@settings(max_examples=60)
@given(
    downloads,
    st.integers(1, 6),
    st.integers(-1, 5),
    st.floats(0, 60),
    st.lists(st.floats(1e4, 1e7), max_size=3),
)
def test_a_plan_is_on_the_ladder_and_the_same_every_time(
    past: list[tuple[float, float]], rungs: int, last: int, buffer_s: float, flight: list[float]
) -> None:
    sizes, seconds = np.array(past).T
    request = msgspec.structs.replace(
        a_request(
            rungs=rungs, last=min(last, rungs - 1), buffer_s=buffer_s, flight_bytes=tuple(flight)
        ),
        reported_bytes=sizes,
        reported_s=seconds,
    )
    plan = choose_rung(request, Population())
    assert 0 <= plan.rung < rungs
    assert 0 <= plan.stall_chance <= 1 + 1e-9
    assert plan.stall_s >= 0
    assert np.isfinite(plan.qoe)
    assert plan.qoe <= request.quality[-1] + 1e-9
    assert plan == choose_rung(request, Population())


def test_more_network_and_more_buffer_never_lower_the_rung() -> None:
    by_rate = [
        choose_rung(a_request(rate), Population()).rung for rate in MEGA * 2.0 ** np.arange(-6, 4)
    ]
    assert by_rate == sorted(by_rate)
    assert (by_rate[0], by_rate[-1]) == (0, 3)
    by_buffer = [
        choose_rung(a_request(0.5 * MEGA, buffer_s=buffer_s), Population()).rung
        for buffer_s in (0.0, 4.0, 8.0, 16.0, 32.0, 60.0)
    ]
    assert by_buffer == sorted(by_buffer)


def test_a_shorter_ladder_is_a_limit() -> None:
    assert choose_rung(a_request(100 * MEGA), Population()).rung == 3
    assert choose_rung(a_request(100 * MEGA, rungs=2), Population()).rung == 1


def test_reasons_say_how_the_rung_moved() -> None:
    def plan(rate: float, last: int, buffer_s: float = 20.0) -> Plan:
        return choose_rung(a_request(rate, last=last, buffer_s=buffer_s), Population())

    assert plan(100 * MEGA, 3).reason == "kept"
    assert plan(100 * MEGA, 0).reason == "raised"
    assert plan(0.05 * MEGA, 3, 4.0).reason == "lowered-stall"
    assert plan(100 * MEGA, -1).reason == "start"


def test_what_is_in_flight_makes_careful() -> None:
    free = choose_rung(a_request(0.6 * MEGA, buffer_s=8.0), Population())
    busy = choose_rung(a_request(0.6 * MEGA, buffer_s=8.0, flight_bytes=(4 * MEGA,)), Population())
    assert busy.rung < free.rung
    assert busy.stall_s > free.stall_s


def a_start(population: Population, start_cost: float) -> Plan:
    request = a_request(reports=0, last=-1, buffer_s=0.0)
    return choose_rung(msgspec.structs.replace(request, start_cost=start_cost), population)


def test_a_start_uses_how_others_began_and_what_the_caller_wants() -> None:
    fast, slow = Population(), Population()
    for _ in range(100):
        for population, rate in ((fast, 10 * MEGA), (slow, MEGA / 4)):
            population.learn(
                np.full(20, MEGA),
                np.full(20, MEGA / rate),
                circumstances=NOWHERE,
                at_ms=0,
            )
    assert a_start(fast, 1.0).rung > a_start(slow, 1.0).rung
    assert a_start(fast, 0.0).rung >= a_start(fast, 3.0).rung
    assert imagine_start(Population(), NOWHERE, 0).population_share == 0.0


@given(st.floats(0.2, 60), st.integers(0, 3), st.floats(0.5, 30))
def test_a_careful_players_ceiling_is_never_below_the_best_rung(
    buffer_s: float, last: int, rate_mb: float
) -> None:
    strict = msgspec.structs.replace(a_request(rate_mb * MEGA), buffer_s=buffer_s, last=last)
    plan = choose_rung(strict, Population())
    loose = choose_rung(msgspec.structs.replace(strict, slack_s=1.0), Population())
    assert plan.ceiling == plan.rung == loose.rung
    assert loose.ceiling >= plan.ceiling


def test_slack_spares_no_ceiling_where_a_higher_rung_would_stall() -> None:
    starving = msgspec.structs.replace(a_request(0.05 * MEGA), buffer_s=1.0, slack_s=1.0)
    assert choose_rung(starving, Population()).ceiling < 3
