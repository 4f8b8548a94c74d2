"""What was seen: interval sets that answer as a plain set does, within their bounds."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.analytics.identities import CLOCK_SKEW_MS_MAX, Intervals, SeenIdentities
from schemas.ids import uuid7

NOW_MS = 1_790_000_000_000


def a_session(number: int, at_ms: int = NOW_MS) -> str:
    return str(uuid7(at_ms, number.to_bytes(10, "big")))


@settings(deadline=None)  # a loaded machine is no counterexample
@given(st.lists(st.integers(0, 40)))
def test_intervals_answer_as_a_set_does(numbers: list[int]) -> None:
    intervals, plain = Intervals(), set[int]()
    for number in numbers:
        assert intervals.add(number) == (number not in plain)
        plain.add(number)
    assert {number for number in range(-1, 42) if number in intervals} == plain
    islands = sum(number - 1 not in plain for number in plain)
    assert len(intervals) == islands


@settings(deadline=None)  # a loaded machine is no counterexample
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5))))
def test_intervals_are_built_of_pairs_in_any_order(pairs: list[tuple[int, int]]) -> None:
    spans = [(low, low + length) for low, length in pairs]
    plain = {number for low, high in spans for number in range(low, high + 1)}
    intervals = Intervals(spans)
    assert {number for number in range(30) if number in intervals} == plain


def test_only_a_session_that_began_after_the_memory_is_known_without_asking() -> None:
    seen = SeenIdentities()
    assert seen.must_ask(a_session(1))
    seen.begin(NOW_MS)
    assert seen.must_ask(a_session(1, NOW_MS + CLOCK_SKEW_MS_MAX))
    assert not seen.must_ask(a_session(1, NOW_MS + CLOCK_SKEW_MS_MAX + 1))
    assert seen.must_ask("0193f8e2-0000-4000-8000-000000000000"), "its id does not tell"


def test_what_was_learned_is_seen() -> None:
    seen = SeenIdentities()
    session = a_session(1)
    seen.learn(session, {"a": [(0, 9)], "b": []})
    assert not seen.must_ask(session)
    assert not seen.add(session, "a", 9)
    assert seen.add(session, "a", 10)
    assert not seen.add(session, "a", 10)
    assert seen.add(session, "b", 9)


def test_forgotten_sessions_must_be_asked_for_again() -> None:
    seen = SeenIdentities(sessions_max=2)
    seen.begin(0)
    sessions = [a_session(number, NOW_MS + number) for number in range(3)]
    for session in sessions:
        seen.add(session, "a", 1)
    seen.add(sessions[0], "a", 2)
    seen.shrink()
    assert len(seen) == 2
    assert seen.must_ask(sessions[1])
    assert not seen.must_ask(sessions[0])
    assert not seen.must_ask(a_session(9, NOW_MS + 9))


def test_the_number_of_intervals_is_bounded_too() -> None:
    seen = SeenIdentities(intervals_max=10)
    seen.begin(0)
    for number in range(0, 40, 2):
        seen.add(a_session(1), "a", number)
    seen.shrink()
    assert len(seen) == 0
