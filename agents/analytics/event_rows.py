"""A playback event as a row of `events_raw`."""

from __future__ import annotations

from functools import lru_cache
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
NUMBER_MS_MIN: Final = 1_000_000_000_000  # 2001: a smaller number would be read as a year
_UINT32_MAX: Final = 0xFFFF_FFFF

_ANY: Final = frozenset(("playhead_ms", "cdn"))
"""Columns of the body that every type has."""
_STAMP: Final = frozenset(
    field.name for field in msgspec.structs.fields(Stamp) if field.name != "received_at_ms"
)
_HEAD: Final = frozenset(field.name for field in msgspec.structs.fields(Event)) - _ANY
_BODY: Final[dict[type[Event], frozenset[str]]] = {
    kind: frozenset(field.name for field in msgspec.structs.fields(kind)) - _HEAD
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
    """Reads records of the playback topics; what a newer writer says is kept whole in `extra`."""

    def __init__(self) -> None:
        self._decoder: codec.Decoder[PlaybackEvent] = codec.Decoder(PlaybackEvent)
        self._any: codec.Decoder[_UnknownEvent] = codec.Decoder(_UnknownEvent)
        self._fields: codec.Decoder[dict[str, Any]] = codec.Decoder(dict[str, Any])

    def read(self, topic: str, raw: RawRecord) -> EventRow:
        """The record's row. Raises InvalidMessageError where it can be none."""
        if raw.value is None:
            raise InvalidMessageError("empty", "a record without a value")
        event: Event
        try:
            event = self._decoder.decode(raw.value)
            body = _BODY[type(event)]
        except UnknownTypeError:
            event, body = self._any.decode(raw.value), _ANY
        fields = self._fields.decode(raw.value)
        return _row(topic, raw, event, fields, body)


class _UnknownEvent(Event, frozen=True, kw_only=True, tag_field="_", tag=False, omit_defaults=True):
    """What every event carries, whatever its type."""

    type: str


def _row(
    topic: str, raw: RawRecord, event: Event, fields: dict[str, Any], body: frozenset[str]
) -> EventRow:
    """The record's own fields are its columns: what it does not say stays the column's default."""
    stamp = event.stamp or Stamp(received_at_ms=raw.timestamp, via="ingest")
    columns: dict[str, Any] = fields.pop("stamp", None) or {"via": stamp.via}
    for name in columns.keys() - _STAMP:
        del columns[name]
    columns["id"] = "" if stamp.via == "cmcd" else event.id
    fields.pop("id", None)
    payload_hash = int.from_bytes(blake2b(codec.encode(fields), digest_size=8).digest(), "big")
    extra = fields.pop("extra", None) or {}
    for name, value in fields.items():
        if name in body:
            columns[name] = value
        elif name not in _HEAD and name != "type":
            extra[name] = value
    if extra:
        columns["extra"] = codec.encode(extra).decode()
    columns["asn"] = min(max(stamp.asn, 0), _UINT32_MAX)
    at_ms = event.at_ms
    right_ms = _right_at_ms(at_ms, _began_at_ms(event.session_id))
    columns |= {
        "type": fields["type"],
        "session_id": event.session_id,
        "source": event.source,
        "sequence": event.sequence,
        "at": seconds(right_ms),
        "clock_error_ms": at_ms - right_ms,
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


@lru_cache(maxsize=65_536)
def _began_at_ms(session_id: str) -> int | None:
    """When the session began, within what a partition may be; None where its id does not tell."""
    try:
        session = UUID(session_id)
    except ValueError as error:
        raise InvalidMessageError("session-id", "the session id is no UUID") from error
    if session.version != 7:
        return None
    return min(max(uuid7_at_ms(session), AT_MS_MIN), AT_MS_MAX)


def _right_at_ms(at_ms: int, began_ms: int | None) -> int:
    """A time that makes no partition of its own.

    It follows from the event alone: a re-send that comes later must fall into the same place.
    """
    if began_ms is None:
        return min(max(at_ms, AT_MS_MIN), AT_MS_MAX)
    return at_ms if abs(at_ms - began_ms) <= CLOCK_ERROR_MS_MAX else began_ms


def seconds(at_ms: int) -> float:
    """Unix milliseconds as ClickHouse reads a DateTime64(3): ten digits, a point, a fraction."""
    return min(max(at_ms, NUMBER_MS_MIN), AT_MS_MAX) / 1000
