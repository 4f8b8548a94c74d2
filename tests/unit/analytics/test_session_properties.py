"""The fold is a function of the set of events: order, duplicates and cuts change nothing."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.analytics.session import PENDING_MAX, SOURCES_MAX, admit, fold
from agents.analytics.summary import summarize
from schemas import codec
from schemas.events import (
    Bandwidth,
    BitrateChanged,
    Buffered,
    Buffering,
    Event,
    Heartbeat,
    Pause,
    Play,
    PlaybackError,
    Playing,
    Seek,
    Seeked,
    Stopped,
)
from schemas.folds import SessionFold
from schemas.watching import SessionSummary
from tests.unit.analytics.playback import SESSION_ID, TimeLine

UNHURRIED = settings(deadline=None)
"""A loaded machine is no counterexample."""

KINDS: dict[type[Event], dict[str, Any]] = {
    Play: {},
    Playing: {"bitrate_kbps": 900},
    Pause: {},
    Seek: {"to_ms": 5_000},
    Seeked: {},
    Buffering: {},
    Buffered: {},
    BitrateChanged: {"bitrate_kbps": 2_000},
    Bandwidth: {"bitrate_kbps": 400, "object_type": "v"},
    Heartbeat: {"playhead_ms": 7_000},
    Stopped: {"reason": "ended"},
    PlaybackError: {"code": "c"},
}
SOURCES = (("sdk", "a"), ("sdk", "b"), ("cmcd", "c"))

moments = st.tuples(
    st.sampled_from(sorted(KINDS, key=lambda kind: kind.__name__)),
    st.integers(-3, 60),
    st.sampled_from(SOURCES),
)


@st.composite
def sessions(draw: st.DrawFn) -> list[Any]:
    lines = {name: TimeLine(via=via, source=name) for via, name in SOURCES}  # type: ignore[arg-type]  # literals above
    at_s, events = 0, []
    for kind, passed_s, (_, name) in draw(st.lists(moments, min_size=1, max_size=60)):
        at_s = max(0, at_s + passed_s)
        events.append(lines[name].at(at_s, kind, **KINDS[kind]))
    return events


@UNHURRIED
@given(sessions(), st.randoms(use_true_random=False))
def test_any_order_with_duplicates_is_the_sorted_unique_fold(
    events: list[Any], random: Random
) -> None:
    arrived = events + random.choices(events, k=len(events))
    random.shuffle(arrived)
    assert fold(arrived, 60_000) == fold(events, 60_000)


@UNHURRIED
@given(sessions(), st.randoms(use_true_random=False), st.data())
def test_a_state_that_was_stored_goes_on_as_if_it_had_not_been(
    events: list[Any], random: Random, data: st.DataObject
) -> None:
    random.shuffle(events)
    cut = data.draw(st.integers(0, len(events)))
    state = SessionFold(session_id=SESSION_ID)
    for event in events[:cut]:
        admit(state, event)
    state = codec.Decoder[SessionFold](SessionFold).decode(codec.encode(state))
    for event in events[max(0, cut - 5) :]:  # what was not acknowledged comes again
        admit(state, event)
    assert summarize(state, None) == fold(events)


@UNHURRIED
@given(sessions())
def test_ratios_stay_between_nothing_and_all(events: list[Any]) -> None:
    summary = fold(events, 60_000)
    assert summary is not None
    assert 0 <= summary.rebuffer_ratio <= 1
    assert summary.completion_ratio is None or 0 <= summary.completion_ratio <= 1
    assert summary.played_ms + summary.rebuffer_duration_ms <= summary.watched_ms
    assert summary.time_to_first_frame_ms is None or summary.time_to_first_frame_ms >= 0


@UNHURRIED
@given(sessions())
def test_versions_rise_with_every_event(events: list[Any]) -> None:
    state = SessionFold(session_id=SESSION_ID)
    versions = []
    for event in events:
        assert admit(state, event)
        assert not admit(state, event)
        summary = summarize(state, None)
        assert summary is not None
        versions.append(summary.version)
    assert versions == list(range(1, len(events) + 1))


def a_long_session(count: int) -> list[Any]:
    line = TimeLine()
    kinds = (Playing, Heartbeat, Buffering)
    return [line.at(i, kinds[i % 3]) for i in range(count)]


def size_of(state: SessionFold) -> int:
    return len(msgspec.msgpack.encode(state))


def test_the_state_of_a_session_is_bounded_and_late_events_below_the_bound_count() -> None:
    events = a_long_session(6 * PENDING_MAX)
    missing = events.pop(3)  # all that follows must wait for it
    state = SessionFold(session_id=SESSION_ID)
    for event in events:
        admit(state, event)
        assert len(state.sources[0].pending) <= PENDING_MAX
    assert size_of(state) < 40 * PENDING_MAX
    assert not admit(state, missing)
    assert state.late_count == 1
    whole = SessionFold(session_id=SESSION_ID)
    for event in a_long_session(6 * PENDING_MAX):
        admit(whole, event)
    assert size_of(whole) < 500


def test_sources_are_bounded() -> None:
    state = SessionFold(session_id=SESSION_ID)
    for number in range(2 * SOURCES_MAX):
        admit(state, TimeLine(source=f"s{number}").at(0, Play))
    assert len(state.sources) == SOURCES_MAX
    assert state.late_count == SOURCES_MAX


@pytest.mark.parametrize("count", [500])
def test_an_event_costs_the_same_late_in_a_session(count: int) -> None:
    summary: SessionSummary | None = fold(a_long_session(count))
    assert summary is not None
    assert summary.event_count == count
