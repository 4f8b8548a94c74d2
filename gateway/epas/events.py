"""What one EPAS event means as a playback event.

Identity is (session, ``epas-{sessionId}``, sequence). EPAS numbers nothing, so the sequence is made
of the timestamp, then the place that the event has among those of one millisecond (an `error` is
followed by its `stopped`), then a checksum of the bytes. So the same bytes sent again are the same
event with the same id, and the order is that of the player's clock.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final, get_args
from zlib import crc32

from gateway.cmcd.redaction import redact_url
from gateway.epas.report import SEQUENCES_PER_MS, EpasEvent, EpasReport
from gateway.epas.units import as_ms, ms_per_unit
from schemas.errors import InvalidMessageError
from schemas.events import (
    BitrateChanged,
    Buffered,
    Buffering,
    Event,
    Heartbeat,
    Interaction,
    Pause,
    Play,
    PlaybackError,
    PlaybackWarning,
    Playing,
    Seek,
    Seeked,
    Stopped,
)
from schemas.ids import uuid7

PAYLOAD_DEPTH_MAX: Final = 8
NOT_KEPT: Final = frozenset({"userId"})
"""Who watches is known from the session, under a pseudonym."""

_ORDER: Final[dict[str, int]] = {name: place for place, name in enumerate(get_args(EpasEvent))}
_PER_PLACE: Final = SEQUENCES_PER_MS // len(_ORDER)

_Head = dict[str, Any]
_Builder = Callable[[dict[str, Any], _Head], Event]


def map_report(report: EpasReport, raw: bytes, *, session_id: str, content_ms: int | None) -> Event:
    """The event that the report tells of; InvalidMessageError where its payload cannot be read.

    `raw` are its bytes, `content_ms` is the content's length where it is known.
    """
    payload = _tame(report.payload or {}, PAYLOAD_DEPTH_MAX)
    unit_ms = ms_per_unit(report.playhead, report.duration, content_ms)
    head = _identity(report, raw, session_id) | {
        "playhead_ms": as_ms(report.playhead, unit_ms),
        "extra": {"epas": _told(report.event, as_ms(report.duration, unit_ms), payload)},
    }
    return _EVENTS[report.event](payload, head)


def _identity(report: EpasReport, raw: bytes, session_id: str) -> _Head:
    at_ms = int(report.at_ms)
    source = f"epas-{report.client_session_id or session_id}"
    place = _ORDER[report.event] * _PER_PLACE + crc32(raw) % _PER_PLACE
    sequence = at_ms * SEQUENCES_PER_MS + place
    identity = f"{session_id} {source} {sequence}".encode()
    return {
        "session_id": session_id,
        "source": source,
        "sequence": sequence,
        "id": str(uuid7(at_ms, blake2b(identity, digest_size=10).digest())),
        "at": datetime.fromtimestamp(at_ms / 1000, UTC),
    }


def _told(event: str, duration_ms: int | None, payload: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"event": event}
    if duration_ms:
        told["duration_ms"] = duration_ms
    if payload:
        told["payload"] = payload
    return told


def _tame(value: Any, depth_max: int) -> Any:
    """The payload without tokens in its URLs and without the viewer's own name."""
    if isinstance(value, str):
        return redact_url(value)
    if not isinstance(value, dict | list):
        return value
    if depth_max == 0:
        raise InvalidMessageError("too-deep", f"the payload nests over {PAYLOAD_DEPTH_MAX} deep")
    if isinstance(value, list):
        return [_tame(each, depth_max - 1) for each in value]
    return {
        redact_url(name): _tame(each, depth_max - 1)
        for name, each in value.items()
        if name not in NOT_KEPT
    }


def _bitrate_changed(payload: dict[str, Any], head: _Head) -> Event:
    bitrate_kbps = _whole(payload.get("bitrate"))
    if bitrate_kbps is None:
        raise InvalidMessageError("schema", "payload.bitrate is no number of kbps")
    return BitrateChanged(
        **head, bitrate_kbps=bitrate_kbps, height=_whole(payload.get("height")) or None
    )


def _stopped(payload: dict[str, Any], head: _Head) -> Event:
    match payload.get("reason"):
        case ("ended" | "aborted") as reason:
            return Stopped(**head, reason=reason)
        case _:
            return Stopped(**head)


def _error(payload: dict[str, Any], head: _Head) -> Event:
    return PlaybackError(**head, **_failure(payload))


def _warning(payload: dict[str, Any], head: _Head) -> Event:
    return PlaybackWarning(**head, **_failure(payload))


def _failure(payload: dict[str, Any]) -> dict[str, Any]:
    code, message = payload.get("code"), payload.get("message")
    return {
        "code": "" if code is None else str(code)[:128],
        "message": "" if message is None else str(message)[:2048],
    }


def _whole(value: Any) -> int | None:
    """The specification writes numbers as text here, its types as numbers."""
    try:
        return round(float(value))
    except (TypeError, ValueError, OverflowError):
        return None


_EVENTS: Final[dict[str, _Builder]] = {
    "init": lambda _, head: Play(**head),
    "metadata": lambda _, head: Interaction(**head, name="metadata"),
    "loading": lambda _, head: Buffering(**head),
    "loaded": lambda _, head: Buffered(**head),
    "paused": lambda _, head: Pause(**head),
    # No from and to: the specification wants the old playhead here, the web SDK gives the new one.
    "seeking": lambda _, head: Seek(**head),
    "seeked": lambda _, head: Seeked(**head),
    "buffering": lambda _, head: Buffering(**head),
    "buffered": lambda _, head: Buffered(**head),
    "playing": lambda _, head: Playing(**head),
    "resume": lambda _, head: Playing(**head),
    "bitrate_changed": _bitrate_changed,
    "heartbeat": lambda _, head: Heartbeat(**head),
    "warning": _warning,
    "error": _error,
    "stopped": _stopped,
}
