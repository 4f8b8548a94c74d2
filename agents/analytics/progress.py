"""What one event changes in the progress of its source (CTA-2066; `metrics.md`).

Events come in the order of their sequence. A stall is buffering that begins while pictures are
shown: buffering before the first frame, after a seek or in a pause is none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from schemas.folds import BitrateLane, Phase, Progress, Step

HEARTBEAT_INTERVAL_MS: Final = 10_000
SILENCE_MS_MAX: Final = 3 * HEARTBEAT_INTERVAL_MS
"""A session without an event for so long has ended by time-out."""

_WATCHED: Final[frozenset[Phase]] = frozenset(("starting", "playing", "stalled", "seeking"))
_OVER: Final[frozenset[Phase]] = frozenset(("ended", "failed"))


def advance(progress: Progress, step: Step) -> None:
    """Take the next event into account."""
    _pass_time(progress, step)
    progress.event_count += 1
    progress.cdn = step.cdn or progress.cdn
    progress.has_heartbeats |= step.kind == "heartbeat"
    if step.bitrate_kbps is not None:
        _note_bitrate(progress, step.kind, step.bitrate_kbps)
    change = _CHANGES.get(step.kind)
    if change is not None:
        change(progress, step)
    if progress.phase == "playing":
        _note_shown(progress)


def _pass_time(progress: Progress, step: Step) -> None:
    """Account the time since the last event to the phase it was spent in."""
    if progress.first_at_ms is None:
        progress.first_at_ms = progress.last_at_ms = step.at_ms
    # A clock that jumps back stands still here until it has caught up.
    passed_ms = max(0, step.at_ms - progress.last_at_ms)
    progress.last_at_ms += passed_ms
    if progress.has_heartbeats:  # it was gone where it sent nothing for three of them
        passed_ms = min(passed_ms, SILENCE_MS_MAX)
    if progress.phase in _WATCHED:
        progress.watched_ms += passed_ms
    if progress.phase == "stalled":
        progress.rebuffer_duration_ms += passed_ms
    if progress.phase == "playing":
        _pass_media(progress, passed_ms)
    if step.kind != "seek":
        progress.playhead_ms = _first(step.playhead_ms, progress.playhead_ms)
    elif step.from_playhead_ms is not None:
        progress.playhead_ms = step.from_playhead_ms
    if progress.phase == "playing":
        _note_shown(progress)


def _pass_media(progress: Progress, passed_ms: int) -> None:
    progress.played_ms += passed_ms
    if progress.playhead_ms is not None:
        progress.playhead_ms += passed_ms
    for lane in (progress.announced, progress.fetched):
        if lane.kbps is not None:
            lane.kbps_ms += lane.kbps * passed_ms
            lane.media_ms += passed_ms


def _note_shown(progress: Progress) -> None:
    """Media at the playhead is shown; a source that tells no playhead is taken to start at 0."""
    shown_ms = _first(progress.playhead_ms, progress.played_ms)
    assert shown_ms is not None
    progress.max_playhead_ms = max(progress.max_playhead_ms or 0, shown_ms)


def _note_bitrate(progress: Progress, kind: str, kbps: int) -> None:
    if kind == "bitrate_changed":
        progress.has_changes = True
    if kind != "bandwidth":
        _switch(progress.announced, kbps)
    if kind != "bitrate_changed":
        _switch(progress.fetched, kbps)


def _switch(lane: BitrateLane, kbps: int) -> None:
    if lane.kbps is not None:
        lane.up_count += kbps > lane.kbps
        lane.down_count += kbps < lane.kbps
    lane.kbps = kbps


def _play(progress: Progress, step: Step) -> None:
    if progress.frame_at_ms is None and progress.play_at_ms is None:
        progress.play_at_ms = step.at_ms
    if progress.phase not in ("playing", "stalled", "seeking"):
        progress.phase = "starting"


def _playing(progress: Progress, step: Step) -> None:
    if progress.frame_at_ms is None:
        progress.frame_at_ms = step.at_ms
    if progress.is_failed:
        _survive(progress)
    progress.phase = "playing"
    progress.ended_at_ms = None
    progress.end_reason = ""


def _survive(progress: Progress) -> None:
    """dash.js goes on after errors that it calls fatal: what was an end becomes a stall."""
    assert progress.ended_at_ms is not None
    if progress.failed_from in ("playing", "stalled"):
        lost_ms = progress.last_at_ms - progress.ended_at_ms
        progress.watched_ms += lost_ms
        progress.rebuffer_duration_ms += lost_ms
        progress.rebuffer_count += progress.failed_from == "playing"
    progress.is_failed = False
    progress.error_code = ""


def _pause(progress: Progress, _step: Step) -> None:
    if progress.phase in ("playing", "stalled", "seeking"):
        progress.pause_count += 1
    if progress.phase not in _OVER:
        progress.phase = "paused"


def _seek(progress: Progress, step: Step) -> None:
    progress.seek_count += 1
    progress.playhead_ms = _first(step.to_ms, progress.playhead_ms)
    if progress.phase in ("playing", "stalled"):
        progress.phase = "seeking"


def _seeked(progress: Progress, _step: Step) -> None:
    if progress.phase == "seeking":
        progress.phase = "playing"


def _buffering(progress: Progress, _step: Step) -> None:
    if progress.phase == "playing":
        progress.phase = "stalled"
        progress.rebuffer_count += 1
    elif progress.phase == "idle":  # CMCD has players that begin with this word
        progress.phase = "starting"


def _buffered(progress: Progress, _step: Step) -> None:
    if progress.phase == "stalled":
        progress.phase = "playing"


def _stopped(progress: Progress, step: Step) -> None:
    if progress.is_failed:
        return
    progress.phase = "ended"
    progress.ended_at_ms = progress.last_at_ms
    progress.end_reason = step.detail or "aborted"


def _error(progress: Progress, step: Step) -> None:
    if progress.is_failed:
        return
    progress.failed_from, progress.phase = progress.phase, "failed"
    progress.is_failed = True
    progress.ended_at_ms = progress.last_at_ms
    progress.end_reason = "error"
    progress.error_code = step.detail


_CHANGES: Final[dict[str, Callable[[Progress, Step], None]]] = {
    "play": _play,
    "playing": _playing,
    "pause": _pause,
    "seek": _seek,
    "seeked": _seeked,
    "buffering": _buffering,
    "buffered": _buffered,
    "stopped": _stopped,
    "error": _error,
}
"""Errors that are not fatal are steps of another kind: `session.step_of`."""


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)
