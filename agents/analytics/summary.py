"""A session's summary: the sum over the sources of its authoritative way."""

from __future__ import annotations

import copy
from typing import Any, Final

import msgspec

from agents.analytics.progress import advance
from schemas.folds import BitrateLane, Progress, SessionFold, SourceFold
from schemas.watching import SessionSummary

VIAS: Final = ("sdk", "ingest", "cmcd")
"""Whose word counts, first to last. A way that never tells of playback itself does not claim it:
an app may send interactions beside a player's CMCD."""


def summarize(state: SessionFold, duration_ms: int | None) -> SessionSummary | None:
    """The QoE so far; `duration_ms` is the content's. None where no event was admitted."""
    sources = _authoritative([(source, _complete(source)) for source in state.sources])
    if not sources:
        return None
    sources.sort(key=lambda item: (item[1].first_at_ms or 0, item[0].source))
    parts = [progress for _, progress in sources]
    last_source, last = max(sources, key=lambda item: (item[1].last_at_ms, item[0].source))
    return SessionSummary(
        session_id=state.session_id,
        version=sum(s.base.event_count + len(s.pending) for s in state.sources),
        **msgspec.structs.asdict(state.facts),
        cdn=next((part.cdn for part in reversed(parts) if part.cdn), ""),
        source=last_source.source,
        started_at_ms=min(part.first_at_ms or 0 for part in parts),
        last_event_at_ms=last.last_at_ms,
        last_received_at_ms=state.received_at_ms,
        ended_at_ms=last.ended_at_ms,
        end_reason=last.end_reason,
        playback_failed=last.is_failed,
        error_code=last.error_code,
        event_count=sum(part.event_count for part in parts),
        **_starting(parts, last, last_source.via),
        **_counting(parts),
        **_bitrates(parts),
        **_reaching(parts, last, duration_ms),
    )


def _complete(source: SourceFold) -> Progress:
    progress = copy.deepcopy(source.base) if source.pending else source.base
    for step in source.pending:
        advance(progress, step)
    return progress


def _authoritative(
    sources: list[tuple[SourceFold, Progress]],
) -> list[tuple[SourceFold, Progress]]:
    claims = {
        source.via
        for source, progress in sources
        if progress.play_at_ms is not None or progress.frame_at_ms is not None
    }
    vias = claims or {source.via for source, _ in sources}
    chosen = next((via for via in VIAS if via in vias), None)
    return [item for item in sources if item[0].via == chosen]


def _starting(parts: list[Progress], last: Progress, via: str) -> dict[str, Any]:
    plays = [part.play_at_ms for part in parts if part.play_at_ms is not None]
    framed = [part for part in parts if part.frame_at_ms is not None]
    if not framed:
        was_asked = bool(plays) or via == "cmcd"
        is_exit = was_asked and last.ended_at_ms is not None and not last.is_failed
        return {"exit_before_video_start": is_exit}
    first = min(framed, key=lambda part: part.frame_at_ms or 0)
    assert first.frame_at_ms is not None
    asked = [at_ms for at_ms in plays if at_ms <= first.frame_at_ms]
    if not asked and first.first_at_ms is not None and first.first_at_ms < first.frame_at_ms:
        asked = [first.first_at_ms]  # a player that does not say when it was asked: its first word
    return {"time_to_first_frame_ms": first.frame_at_ms - min(asked) if asked else None}


def _counting(parts: list[Progress]) -> dict[str, Any]:
    watched_ms = sum(part.watched_ms for part in parts)
    rebuffer_duration_ms = sum(part.rebuffer_duration_ms for part in parts)
    return {
        "watched_ms": watched_ms,
        "played_ms": sum(part.played_ms for part in parts),
        "rebuffer_count": sum(part.rebuffer_count for part in parts),
        "rebuffer_duration_ms": rebuffer_duration_ms,
        "rebuffer_ratio": rebuffer_duration_ms / watched_ms if watched_ms else 0.0,
        "seek_count": sum(part.seek_count for part in parts),
        "pause_count": sum(part.pause_count for part in parts),
    }


def _bitrates(parts: list[Progress]) -> dict[str, Any]:
    lanes = [_lane(part) for part in parts]
    media_ms = sum(lane.media_ms for lane in lanes)
    known = [lane.kbps for lane in lanes if lane.kbps is not None]
    return {
        "average_bitrate_kbps": (
            round(sum(lane.kbps_ms for lane in lanes) / media_ms) if media_ms else None
        ),
        "bitrate_kbps": known[-1] if known else None,
        "bitrate_up_count": sum(lane.up_count for lane in lanes),
        "bitrate_down_count": sum(lane.down_count for lane in lanes),
    }


def _lane(part: Progress) -> BitrateLane:
    """What is fetched runs ahead of what is shown: it counts only where nothing else is told."""
    return part.announced if part.has_changes else part.fetched


def _reaching(parts: list[Progress], last: Progress, duration_ms: int | None) -> dict[str, Any]:
    reached = [part.max_playhead_ms for part in parts if part.max_playhead_ms is not None]
    if not reached:
        return {"exit_playhead_ms": last.playhead_ms}
    furthest_ms = max(reached)
    exit_ms = last.playhead_ms
    if exit_ms is None:
        exit_ms = max(furthest_ms, sum(part.played_ms for part in parts))
        furthest_ms = exit_ms
    if last.end_reason == "ended" and duration_ms is not None:
        furthest_ms = exit_ms = duration_ms
    if duration_ms is not None:
        furthest_ms, exit_ms = min(furthest_ms, duration_ms), min(exit_ms, duration_ms)
    return {
        "exit_playhead_ms": exit_ms,
        "max_playhead_ms": furthest_ms,
        "completion_ratio": furthest_ms / duration_ms if duration_ms else None,
    }
