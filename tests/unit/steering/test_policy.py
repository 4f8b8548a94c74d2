from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.steering.outcomes import Outcome
from agents.steering.policy import (
    PENALTY_MS_MIN,
    WINDOW_MS,
    SteeringState,
    bucket_of,
    decide,
    initial_state,
    merge,
)
from schemas.steering import SteeringDecision
from tests.builders import NOW_MS

NAMES = ("alpha", "beta", "gamma")


def observe(state: SteeringState, outcome: Outcome) -> SteeringState:
    return merge(state, outcome.cdn, bucket_of(outcome))


def started(names: tuple[str, ...] = NAMES) -> SteeringState:
    state, decision = decide(initial_state(names, None), NOW_MS)
    assert decision is not None
    return state


def fetch(
    state: SteeringState, cdn: str, at_ms: int, *, good: int = 0, bad: int = 0
) -> SteeringState:
    for is_error in [False] * good + [True] * bad:
        outcome = Outcome(cdn=cdn, at_ms=at_ms, is_error=is_error, throughput_kbps=1000)
        state = observe(state, outcome)
    return state


def test_the_first_decision_is_the_configured_order() -> None:
    state, decision = decide(initial_state(NAMES, None), NOW_MS)
    assert decision is not None
    assert decision.order == NAMES
    assert (decision.version, decision.reason, decision.cohort) == (1, "configured", "*")
    assert decide(state, NOW_MS + 1)[1] is None


def test_a_burst_of_errors_flips_the_order_at_once() -> None:
    state = fetch(started(), "alpha", NOW_MS, good=4, bad=3)
    state, decision = decide(state, NOW_MS + 10)
    assert decision is not None
    assert decision.order == ("beta", "gamma", "alpha")
    assert decision.reason == "alpha-failed"
    alpha = decision.facts[0]
    assert (alpha.requests, alpha.errors, alpha.is_down) == (7, 3, True)


def test_a_few_errors_among_many_requests_move_nobody() -> None:
    state = fetch(started(), "alpha", NOW_MS, good=100, bad=10)
    assert decide(state, NOW_MS + 10)[1] is None
    state = fetch(started(), "alpha", NOW_MS, bad=2)
    assert decide(state, NOW_MS + 10)[1] is None


def test_requests_that_a_player_gave_up_are_forgiven_by_the_next_answer() -> None:
    state = started()
    gone = Outcome(cdn="alpha", at_ms=NOW_MS, is_error=True, is_unanswered=True)
    for _ in range(5):
        state = observe(state, gone)
    dead, decision = decide(state, NOW_MS + 10)
    assert decision is not None
    assert dead.order[-1] == "alpha"
    alive = fetch(state, "alpha", NOW_MS, good=1)
    assert decide(alive, NOW_MS + 10)[1] is None


def test_old_errors_do_not_count() -> None:
    state = fetch(started(), "alpha", NOW_MS, bad=5)
    assert decide(state, NOW_MS + WINDOW_MS + 1_000)[1] is None


def test_a_failed_cdn_comes_back_and_stays_away_longer_each_time() -> None:
    state = fetch(started(), "alpha", NOW_MS, bad=3)
    state, _ = decide(state, NOW_MS)
    assert decide(state, NOW_MS + PENALTY_MS_MIN - 1)[1] is None
    state, back = decide(state, NOW_MS + PENALTY_MS_MIN)
    assert back is not None
    assert back.order == NAMES
    assert back.reason == "alpha-returned"
    again_ms = NOW_MS + PENALTY_MS_MIN + 1_000
    state, _ = decide(fetch(state, "alpha", again_ms, bad=3), again_ms)
    assert decide(state, again_ms + 2 * PENALTY_MS_MIN - 1)[1] is None
    state, back = decide(state, again_ms + 2 * PENALTY_MS_MIN)
    assert back is not None


def test_where_all_are_down_the_longest_down_is_tried_first() -> None:
    state = started(("alpha", "beta"))
    state, _ = decide(fetch(state, "alpha", NOW_MS, bad=3), NOW_MS)
    state, decision = decide(fetch(state, "beta", NOW_MS + 5_000, bad=3), NOW_MS + 5_000)
    assert decision is not None
    assert decision.order == ("alpha", "beta")


def test_a_restart_keeps_order_version_and_penalty() -> None:
    _, decision = decide(fetch(started(), "alpha", NOW_MS, bad=3), NOW_MS)
    assert decision is not None
    restarted = initial_state(NAMES, decision)
    assert decide(restarted, NOW_MS + 1_000)[1] is None
    _, back = decide(restarted, NOW_MS + PENALTY_MS_MIN)
    assert back is not None
    assert (back.order, back.version) == (NAMES, decision.version + 1)


def test_a_changed_configuration_is_published() -> None:
    _, decision = decide(initial_state(NAMES, None), NOW_MS)
    _, changed = decide(initial_state(("beta", "alpha"), decision), NOW_MS)
    assert changed is not None
    assert changed.order == ("beta", "alpha")


outcomes = st.lists(
    st.tuples(st.sampled_from([*NAMES, "unknown"]), st.booleans(), st.integers(0, 20_000)),
    max_size=60,
)


def run(seen: list[tuple[str, bool, int]]) -> list[SteeringDecision]:
    state = initial_state(NAMES, None)
    now_ms = NOW_MS
    decisions: list[SteeringDecision] = []
    for cdn, is_error, wait_ms in seen:
        now_ms += wait_ms
        state = observe(state, Outcome(cdn=cdn, at_ms=now_ms, is_error=is_error))
        state, decision = decide(state, now_ms)
        if decision is not None:
            decisions.append(decision)
    return decisions


@given(outcomes)
def test_every_order_is_a_permutation_and_another_than_the_one_before(
    seen: list[tuple[str, bool, int]],
) -> None:
    decisions = run(seen)
    before: tuple[str, ...] = ()
    for version, decision in enumerate(decisions, start=1):
        assert sorted(decision.order) == sorted(NAMES)
        assert decision.order != before
        assert decision.version == version
        before = decision.order
    assert run(seen) == decisions
