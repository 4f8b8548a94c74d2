"""What was seen: interval sets that answer as a plain set does, within their bounds."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.analytics.identities import (
    CLOCK_SKEW_MS_MAX,
    Identities,
    Intervals,
    SeenIdentities,
)
from agents.analytics.native import words_of
from schemas.ids import uuid7

NOW_MS = 1_790_000_000_000
LATER_MS = NOW_MS + 3_600_000


def a_session(number: int, at_ms: int = NOW_MS) -> str:
    return str(uuid7(at_ms, number.to_bytes(10, "big")))


def identities_of(*triples: tuple[str, str, int]) -> Identities:
    sessions = words_of([session for session, _, _ in triples])
    sources = words_of([source for _, source, _ in triples])
    return Identities(
        session_names=sessions.words,
        sessions=sessions.codes,
        source_names=sources.words,
        sources=sources.codes,
        sequences=np.array([number for _, _, number in triples], np.int64),
    )


def is_new(seen: SeenIdentities, session: str, source: str, number: int) -> bool:
    return bool(seen.add(identities_of((session, source, number)))[0])


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
@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from("xyz"), st.sampled_from("ab"), st.integers(0, 12)),
            min_size=1,
        )
    )
)
def test_chunks_of_identities_are_told_as_one_by_one(
    chunks: list[list[tuple[str, str, int]]],
) -> None:
    """Of those that come twice, also within a chunk, the first in the log is the new one."""
    seen, plain = SeenIdentities(), set[tuple[str, str, int]]()
    for chunk in chunks:
        expected = []
        for identity in chunk:
            expected.append(identity not in plain)
            plain.add(identity)
        assert seen.add(identities_of(*chunk)).tolist() == expected


@settings(deadline=None)  # a loaded machine is no counterexample
@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 6))),
    st.integers(0, 26),
    st.integers(0, 9),
)
def test_a_run_is_new_as_a_whole_or_not_at_all(
    pairs: list[tuple[int, int]], low: int, length: int
) -> None:
    spans = [(start, start + more) for start, more in pairs]
    plain = {number for first, last in spans for number in range(first, last + 1)}
    run = set(range(low, low + length + 1))
    intervals = Intervals(spans)
    assert intervals.add_run(low, low + length) == run.isdisjoint(plain)
    expected = plain | run if run.isdisjoint(plain) else plain
    assert {number for number in range(40) if number in intervals} == expected
    assert len(intervals) == sum(number - 1 not in expected for number in expected)


@settings(deadline=None)  # a loaded machine is no counterexample
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5))))
def test_intervals_are_built_of_pairs_in_any_order(pairs: list[tuple[int, int]]) -> None:
    spans = [(low, low + length) for low, length in pairs]
    plain = {number for low, high in spans for number in range(low, high + 1)}
    intervals = Intervals(spans)
    assert {number for number in range(30) if number in intervals} == plain


def test_only_a_session_that_began_after_the_memory_is_known_without_asking() -> None:
    assert SeenIdentities().must_ask(a_session(1), LATER_MS), "others store as well"
    seen, since_ms = SeenIdentities(since_ms=NOW_MS), NOW_MS + CLOCK_SKEW_MS_MAX
    assert seen.must_ask(a_session(1, since_ms), LATER_MS)
    assert not seen.must_ask(a_session(1, since_ms + 1), LATER_MS)
    assert seen.must_ask(a_session(1, since_ms + 1), NOW_MS), "it claims to begin in the future"
    assert seen.must_ask("0193f8e2-0000-4000-8000-000000000000", LATER_MS), "its id does not tell"


def test_what_was_learned_is_seen() -> None:
    seen = SeenIdentities()
    session = a_session(1)
    seen.learn(session, {"a": [(0, 9)], "b": []})
    assert not seen.must_ask(session, LATER_MS)
    assert not is_new(seen, session, "a", 9)
    assert is_new(seen, session, "a", 10)
    assert not is_new(seen, session, "a", 10)
    assert is_new(seen, session, "b", 9)


def test_forgotten_sessions_must_be_asked_for_again() -> None:
    seen = SeenIdentities(since_ms=0, sessions_max=2)
    sessions = [a_session(number, NOW_MS + number) for number in range(3)]
    for session in sessions:
        is_new(seen, session, "a", 1)
    is_new(seen, sessions[0], "a", 2)
    seen.shrink()
    assert len(seen) == 2
    assert seen.must_ask(sessions[1], LATER_MS)
    assert not seen.must_ask(sessions[0], LATER_MS)
    assert not seen.must_ask(a_session(9, NOW_MS + 9), LATER_MS)


def test_the_number_of_intervals_is_bounded_too() -> None:
    seen = SeenIdentities(since_ms=0, intervals_max=10)
    for number in range(0, 40, 2):
        is_new(seen, a_session(1), "a", number)
    seen.shrink()
    assert len(seen) == 0
