"""The arms of a session with every event of it."""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.stamping import bare_stamp, with_arms
from schemas.events import Play
from schemas.ids import uuid7
from tests.builders import NOW_MS
from tests.experiments import NAME, an_arm, an_experiment

ALL = an_experiment(an_arm("control", "player", 0.999999), an_arm("rest", "player", 1e-6))
STAMP = bare_stamp("ingest", NOW_MS)


def a_play(number: int, *, opened_at_ms: int = NOW_MS) -> Play:
    session_id = str(uuid7(opened_at_ms, bytes([number] * 10)))
    return Play(session_id=session_id, sequence=number, at=datetime.fromtimestamp(0, UTC))


def test_without_experiments_stamps_stay_as_they_are() -> None:
    events = [(a_play(1), STAMP)]
    assert with_arms(events, {}) is events


def test_events_of_sessions_in_an_experiment_tell_their_arms() -> None:
    old, new = a_play(1, opened_at_ms=NOW_MS - 1), a_play(2)
    stamped = with_arms([(old, STAMP), (new, STAMP), (new, STAMP)], {NAME: ALL})
    assert [event for event, _ in stamped] == [old, new, new]
    assert [stamp.arms for _, stamp in stamped] == [{}, {NAME: "control"}, {NAME: "control"}]
    assert stamped[0][1] is STAMP
    assert stamped[1][1] is stamped[2][1], "it is encoded once"
