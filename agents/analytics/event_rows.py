"""One playback event that is not as this version writes it: a newer writer's, or none at all."""

from __future__ import annotations

from typing import Any

import msgspec

from agents.analytics.moments import session_facts
from agents.analytics.wire import ANY_BODY, BODY, HEAD, Wire
from schemas import codec
from schemas.errors import InvalidMessageError, UnknownTypeError
from schemas.events import Event, PlaybackEvent
from streams.reader import RawRecord


class _UnknownEvent(Event, frozen=True, kw_only=True, tag_field="_", tag=False, omit_defaults=True):
    """What every event carries, whatever its type."""

    type: str


class EventReader:
    """Reads what `decode_wires` does not; what a newer writer says is kept whole in `extra`."""

    def __init__(self) -> None:
        self._decoder: codec.Decoder[PlaybackEvent] = codec.Decoder(PlaybackEvent)
        self._any: codec.Decoder[_UnknownEvent] = codec.Decoder(_UnknownEvent)
        self._fields: codec.Decoder[dict[str, Any]] = codec.Decoder(dict[str, Any])

    def read(self, raw: RawRecord) -> Any:
        """The record's Wire. Raises InvalidMessageError where it can be no row."""
        if raw.value is None:
            raise InvalidMessageError("empty", "a record without a value")
        event: Event
        try:
            event = self._decoder.decode(raw.value)
            body = BODY[str(event.__struct_config__.tag)]
        except UnknownTypeError:
            event, body = self._any.decode(raw.value), ANY_BODY
        session_facts(event.session_id)
        return _wire(event, self._fields.decode(raw.value), body)


def _wire(event: Event, fields: dict[str, Any], body: frozenset[str]) -> Any:
    """The record's own fields are its columns: what it does not say stays the column's default."""
    extra = fields.pop("extra", None) or {}
    stamp = event.stamp and codec.encode(event.stamp)
    columns: dict[str, Any] = {}
    for name, value in fields.items():
        if name in body:
            columns[name] = value
        elif name not in HEAD and name != "type":
            extra[name] = value
    return Wire(
        type=fields["type"],
        session_id=event.session_id,
        source=event.source,
        sequence=event.sequence,
        at=event.at,
        id=event.id,
        extra=msgspec.Raw(codec.encode(extra) if extra else b""),
        stamp=msgspec.Raw(stamp or b""),
        **columns,
    )
