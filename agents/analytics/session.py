"""The session fold: a session's QoE from its events, in whatever order they come.

Every source folds by itself, in the order of its sequence; the session is the sum of the sources
of its authoritative way (the SDK where it plays, else CMCD). So the result is a function of the
set of events: order of arrival, duplicates and replays change nothing.

What lies below a gapless prefix can never change again and is settled: only the rest is kept,
at most `PENDING_MAX` events per source. Beyond that the older half is settled over its gaps, and
what comes for those later is counted in `late_count`, not folded.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

import msgspec

from agents.analytics.progress import advance
from agents.analytics.summary import summarize
from schemas.events import (
    Bandwidth,
    BitrateChanged,
    Heartbeat,
    PlaybackError,
    PlaybackEvent,
    Playing,
    Seek,
    Stamp,
    Stopped,
)
from schemas.folds import SessionFacts, SessionFold, SourceFold, Step
from schemas.watching import SessionSummary

PENDING_MAX: Final = 1024
SOURCES_MAX: Final = 32

_PICTURES: Final = frozenset(("", "v", "av"))
_FACT_NAMES: Final = tuple(field.name for field in msgspec.structs.fields(SessionFacts))


def fold(events: list[PlaybackEvent], duration_ms: int | None = None) -> SessionSummary | None:
    """The summary of one session's events; None where none of them counts."""
    if not events:
        return None
    state = SessionFold(session_id=events[0].session_id)
    for event in events:
        admit(state, event)
    return summarize(state, duration_ms)


def admit(state: SessionFold, event: PlaybackEvent) -> bool:
    """Whether the event is new to the fold; it is then part of it."""
    assert event.session_id == state.session_id
    stamp = event.stamp or Stamp(received_at_ms=event.at_ms, via="sdk")
    if stamp.via == "edge":  # an edge sees requests, not playback
        return False
    source = _source_of(state, stamp.via, event.source)
    if source is None:
        state.late_count += 1
        return False
    if not _insert(state, source, step_of(event)):
        return False
    state.received_at_ms = max(state.received_at_ms, stamp.received_at_ms)
    _note_facts(state, stamp, event)
    _settle(source)
    return True


def step_of(event: PlaybackEvent) -> Step:
    """The part of an event that the fold needs."""
    kind = str(event.__struct_config__.tag)
    bitrate_kbps, detail = None, ""
    from_ms = to_ms = None
    match event:
        case Playing() | Heartbeat() | BitrateChanged():
            bitrate_kbps = event.bitrate_kbps
        case Bandwidth() if event.object_type in _PICTURES:
            bitrate_kbps = event.bitrate_kbps
        case Stopped():
            detail = event.reason
        case PlaybackError():
            kind, detail = ("error" if event.is_fatal else "warning"), event.code
        case Seek():
            from_ms, to_ms = event.from_ms, event.to_ms
        case _:
            pass
    return Step(
        sequence=event.sequence,
        at_ms=event.at_ms,
        kind=kind,
        playhead_ms=event.playhead_ms,
        bitrate_kbps=bitrate_kbps,
        cdn=event.cdn,
        detail=detail,
        from_playhead_ms=from_ms,
        to_ms=to_ms,
    )


def _source_of(state: SessionFold, via: str, name: str) -> SourceFold | None:
    for source in state.sources:
        if source.source == name and source.via == via:
            return source
    if len(state.sources) >= SOURCES_MAX:
        return None
    source = SourceFold(via=via, source=name)
    state.sources.append(source)
    return source


def _insert(state: SessionFold, source: SourceFold, step: Step) -> bool:
    pending = source.pending
    if pending and step.sequence > pending[-1].sequence:
        pending.append(step)
        return True
    index = bisect_left(pending, step.sequence, key=lambda other: other.sequence)
    if index < len(pending) and pending[index].sequence == step.sequence:
        return False
    if step.sequence <= source.settled:
        # Of a gapless prefix it is a duplicate; else it may be one that came too late.
        state.late_count += source.settled >= source.base.event_count
        return False
    pending.insert(index, step)
    return True


def _settle(source: SourceFold) -> None:
    """Fold what can no longer change, or what is too much to keep, into the base."""
    pending = source.pending
    count = 0
    following = source.settled + 1
    while count < len(pending) and pending[count].sequence == following + count:
        count += 1
    if len(pending) - count >= PENDING_MAX:
        count = max(count, len(pending) // 2)
    if count:
        for step in pending[:count]:
            advance(source.base, step)
        source.settled = pending[count - 1].sequence
        del pending[:count]


def _note_facts(state: SessionFold, stamp: Stamp, event: PlaybackEvent) -> None:
    rank = (stamp.received_at_ms, stamp.via, event.source, event.sequence)
    if state.facts_rank is None or rank < state.facts_rank:
        state.facts_rank = rank
        state.facts = SessionFacts(**{name: getattr(stamp, name) for name in _FACT_NAMES})
