"""One playback event that is not as this version writes it: a newer writer's, or none at all."""

from __future__ import annotations

from typing import Any

import msgspec

from agents.analytics.moments import session_facts
from agents.analytics.wire import WIRES, UnknownWire
from schemas import codec
from schemas.errors import InvalidMessageError, UnknownTypeError
from schemas.events import Event, PlaybackEvent
from streams.reader import LogRecord


class _UnknownEvent(Event, frozen=True, kw_only=True, tag_field="_", tag=False, omit_defaults=True):
    """What every event carries, whatever its type."""

    type: str


class EventReader:
    """Reads what `read_wires` does not; what a newer writer says is kept whole in `extra`."""

    def __init__(self) -> None:
        self._decoder: codec.Decoder[PlaybackEvent] = codec.Decoder(PlaybackEvent)
        self._any: codec.Decoder[_UnknownEvent] = codec.Decoder(_UnknownEvent)
        self._fields: codec.Decoder[dict[str, Any]] = codec.Decoder(dict[str, Any])

    def read(self, raw: LogRecord) -> Any:
        """The record's wire. Raises InvalidMessageError where it can be no row."""
        if raw.value is None:
            raise InvalidMessageError("empty", "a record without a value")
        event: Event
        try:
            event = self._decoder.decode(raw.value)
            kind = WIRES[str(event.__struct_config__.tag)]
        except UnknownTypeError:
            event, kind = self._any.decode(raw.value), UnknownWire
        session_facts(event.session_id)
        return _wire(event, self._fields.decode(raw.value), kind)


def _wire(event: Event, fields: dict[str, Any], kind: Any) -> Any:
    """The record's own fields are its columns: what it does not say stays the column's default."""
    extra = fields.pop("extra", None) or {}
    told: dict[str, Any] = {}
    for name, value in fields.items():
        if name in kind.__struct_fields__:
            if value is not None:
                told[name] = value
        elif name != "type":
            extra[name] = value
    if event.stamp is not None:
        told["stamp"] = msgspec.Raw(codec.encode(event.stamp))
    return kind(**told, extra=extra)
