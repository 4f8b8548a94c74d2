"""Watch steps: each once, each with an identity that a repetition shares."""

from __future__ import annotations

import msgspec

from agents.analytics.watches import due_watches
from schemas.folds import Told
from schemas.watching import SessionSummary

A_SUMMARY = SessionSummary(
    session_id="s",
    version=1,
    profile_id="p",
    content_id="c",
    started_at_ms=0,
    last_event_at_ms=0,
    played_ms=1,
    completion_ratio=0.0,
)
HOUR_MS = 3_600_000


def steps(told: Told, *, is_gone: bool = False, **changes: object) -> tuple[list[str], Told]:
    summary = msgspec.structs.replace(A_SUMMARY, **changes)
    due, told = due_watches(summary, told, HOUR_MS, is_gone=is_gone)
    return [f"{watch.step}{watch.bucket or ''}" for watch in due], told


def test_a_session_tells_each_step_once() -> None:
    seen, told = steps(Told())
    assert seen == ["started"]
    assert steps(told)[0] == []
    seen, told = steps(told, played_ms=65_000)
    assert seen == ["progressed2"]
    assert steps(told, played_ms=89_000)[0] == []
    seen, told = steps(told, played_ms=90_000, completion_ratio=0.9, ended_at_ms=5)
    assert seen == ["progressed3", "completed"]
    assert steps(told, played_ms=90_000, completion_ratio=1.0, is_gone=True)[0] == []


def test_what_ends_or_falls_silent_before_its_end_is_abandoned() -> None:
    assert steps(Told(is_started=True), ended_at_ms=5)[0] == ["abandoned"]
    assert steps(Told(is_started=True), is_gone=True)[0] == ["abandoned"]
    assert steps(Told(is_started=True, is_abandoned=True), is_gone=True)[0] == []


def test_what_was_abandoned_may_still_be_completed() -> None:
    told = Told(is_started=True, is_abandoned=True)
    assert steps(told, completion_ratio=0.95)[0] == ["completed"]


def test_nothing_is_told_without_a_frame_or_a_profile() -> None:
    assert steps(Told(), played_ms=0)[0] == []
    assert steps(Told(), profile_id="")[0] == []


def test_a_short_content_progresses_by_tenths() -> None:
    summary = msgspec.structs.replace(A_SUMMARY, played_ms=13_000)
    due, _ = due_watches(summary, Told(is_started=True), 60_000, is_gone=False)
    assert [watch.bucket for watch in due] == [2]
