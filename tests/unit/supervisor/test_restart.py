"""When a component that died is started again."""

from hypothesis import given
from hypothesis import strategies as st

from infra.supervisor.restart import (
    DELAY_FIRST_S,
    DELAY_MAX_S,
    SOUND_AFTER_S,
    START_DEATHS_MAX,
    RestartDecision,
    decide_restart,
)


def deaths(count: int, *, was_ready: bool, all_were_ready: bool) -> list[RestartDecision]:
    decisions: list[RestartDecision] = []
    for _ in range(count):
        decisions.append(
            decide_restart(
                quick_death_count=decisions[-1].quick_death_count if decisions else 0,
                uptime_s=1.0,
                was_ready=was_ready,
                all_were_ready=all_were_ready,
            )
        )
    return decisions


def test_a_component_killed_once_is_started_again_at_once() -> None:
    assert deaths(1, was_ready=True, all_were_ready=True)[0].delay_s == 0.0


def test_a_component_that_dies_again_and_again_waits_longer_each_time_up_to_a_limit() -> None:
    delays = [each.delay_s for each in deaths(9, was_ready=True, all_were_ready=True)]
    assert delays == sorted(delays)
    assert delays[-1] == DELAY_MAX_S


def test_a_component_that_never_was_ready_waits_before_its_second_start() -> None:
    assert deaths(1, was_ready=False, all_were_ready=False)[0].delay_s == DELAY_FIRST_S


def test_a_component_that_cannot_start_is_given_up() -> None:
    decisions = deaths(START_DEATHS_MAX, was_ready=False, all_were_ready=False)
    assert [each.gives_up for each in decisions] == [False] * (START_DEATHS_MAX - 1) + [True]


@given(count=st.integers(0, 10**6), uptime_s=st.floats(0, 10**6), was_ready=st.booleans())
def test_nothing_is_given_up_once_everything_was_ready(
    count: int, uptime_s: float, was_ready: bool
) -> None:
    decision = decide_restart(
        quick_death_count=count, uptime_s=uptime_s, was_ready=was_ready, all_were_ready=True
    )
    assert not decision.gives_up
    assert 0.0 <= decision.delay_s <= DELAY_MAX_S


def test_a_long_sound_life_forgets_earlier_deaths() -> None:
    decision = decide_restart(
        quick_death_count=7, uptime_s=SOUND_AFTER_S, was_ready=True, all_were_ready=True
    )
    assert decision.quick_death_count == 1
    assert decision.delay_s == 0.0
