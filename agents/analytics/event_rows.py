"""A playback event as a row of `events_raw`."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final, get_args
from uuid import UUID

import msgspec

from schemas import codec
from schemas.errors import InvalidMessageError, UnknownTypeError
from schemas.events import Event, PlaybackEvent, Stamp
from schemas.ids import uuid7_at_ms
from streams.reader import RawRecord

CLOCK_ERROR_MS_MAX: Final = 7 * 86_400_000
"""Events are taken up to 7 days after the session's end, not a broken clock's years."""
AT_MS_MIN: Final = 1_420_070_400_000  # 2015
AT_MS_MAX: Final = 4_102_444_800_000  # 2100
_UINT32_MAX: Final = 0xFFFF_FFFF

_HEAD: Final = frozenset(("session_id", "source", "sequence", "id", "at", "extra", "stamp"))
_STAMP: Final = tuple(f.name for f in msgspec.structs.fields(Stamp) if f.name != "received_at_ms")
_BODY: Final[dict[type[Event], tuple[str, ...]]] = {
    kind: tuple(f.name for f in msgspec.structs.fields(kind) if f.name not in _HEAD)
    for kind in get_args(PlaybackEvent)
}


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row, and what tells it from others."""

    session_id: str
    source: str
    sequence: int
    payload_hash: int
    received_at_ms: int
    offset: int
    columns: dict[str, Any]


class EventReader:
    """Reads records of the playback topics; types of a newer writer are kept whole in `extra`."""

    def __init__(self) -> None:
        self._decoder: codec.Decoder[PlaybackEvent] = codec.Decoder(PlaybackEvent)
        self._any: codec.Decoder[_UnknownEvent] = codec.Decoder(_UnknownEvent)
        self._fields: codec.Decoder[dict[str, Any]] = codec.Decoder(dict[str, Any])

    def read(self, topic: str, raw: RawRecord) -> EventRow:
        """The record's row. Raises InvalidMessageError where it can be none."""
        if raw.value is None:
            raise InvalidMessageError("empty", "a record without a value")
        try:
            event = self._decoder.decode(raw.value)
        except UnknownTypeError:
            return self._read_unknown(topic, raw, raw.value)
        columns = {
            name: value
            for name in _BODY[type(event)]
            if (value := getattr(event, name)) is not None and value != ""
        }
        if event.extra is not None:
            columns["extra"] = codec.encode(event.extra).decode()
        kind = str(event.__struct_config__.tag)
        bare = msgspec.structs.replace(event, id="", stamp=None)
        return _row(topic, raw, event, kind, columns, codec.encode(bare))

    def _read_unknown(self, topic: str, raw: RawRecord, value: bytes) -> EventRow:
        event = self._any.decode(value)
        fields = self._fields.decode(value)
        for name in _HEAD | {"type", "playhead_ms", "cdn"}:
            fields.pop(name, None)
        columns: dict[str, Any] = {"extra": codec.encode(fields).decode(), "cdn": event.cdn}
        if event.playhead_ms is not None:
            columns["playhead_ms"] = event.playhead_ms
        bare = msgspec.structs.replace(event, id="", stamp=None)
        return _row(topic, raw, event, event.type, columns, codec.encode([bare, fields]))


class _UnknownEvent(Event, frozen=True, kw_only=True, tag_field="_", tag=False, omit_defaults=True):
    """What every event carries, whatever its type."""

    type: str


def _row(
    topic: str,
    raw: RawRecord,
    event: Event,
    kind: str,
    columns: dict[str, Any],
    payload: bytes,
) -> EventRow:
    session = _session(event.session_id)
    stamp = event.stamp or Stamp(received_at_ms=raw.timestamp, via="ingest")
    for name in _STAMP:
        columns[name] = getattr(stamp, name)
    columns["asn"] = min(max(stamp.asn, 0), _UINT32_MAX)
    at_ms, error_ms = _clamped(event.at_ms, session)
    payload_hash = int.from_bytes(blake2b(payload, digest_size=8).digest(), "big")
    columns |= {
        "type": kind,
        "session_id": event.session_id,
        "source": event.source,
        "sequence": event.sequence,
        "id": "" if stamp.via == "cmcd" else event.id,
        "at": seconds(at_ms),
        "clock_error_ms": error_ms,
        "received_at": seconds(stamp.received_at_ms),
        "payload_hash": payload_hash,
        "topic": topic,
        "kafka_partition": raw.partition,
        "kafka_offset": raw.offset,
        "kafka_time": seconds(raw.timestamp),
    }
    return EventRow(
        session_id=event.session_id,
        source=event.source,
        sequence=event.sequence,
        payload_hash=payload_hash,
        received_at_ms=stamp.received_at_ms,
        offset=raw.offset,
        columns=columns,
    )


def _session(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise InvalidMessageError("session-id", "the session id is no UUID") from error


def _clamped(at_ms: int, session: UUID) -> tuple[int, int]:
    """A time that makes no partition of its own, and how far the client's clock was from it.

    It follows from the event alone: a re-send that comes later must fall into the same place.
    """
    if session.version == 7:
        began_ms = min(max(uuid7_at_ms(session), AT_MS_MIN), AT_MS_MAX)
        is_sound = abs(at_ms - began_ms) <= CLOCK_ERROR_MS_MAX
        right_ms = at_ms if is_sound else began_ms
    else:
        right_ms = min(max(at_ms, AT_MS_MIN), AT_MS_MAX)
    return right_ms, at_ms - right_ms


def seconds(at_ms: int) -> str:
    """Unix milliseconds as ClickHouse reads a DateTime64(3)."""
    at_ms = min(max(at_ms, 0), AT_MS_MAX)
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.") + (
        f"{at_ms % 1000:03d}"
    )
