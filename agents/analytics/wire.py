"""Playback events as they stand in the log: decoded for columns, each type as narrow as it is.

msgspec itself refuses what a type must say or may not. What these types cannot hold (a field or a
type of a newer writer, a wrong value) is left to `EventReader`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import nan
from typing import Any, Final, Union, get_args

import msgspec

from schemas import codec
from schemas.events import Event, PlaybackEvent

HEAD: Final = frozenset(("session_id", "source", "sequence", "at", "id", "extra", "stamp"))
"""Fields of every event that become columns in ways of their own."""
NOT_SAID: Final = nan
"""Stands for a number that an event leaves out; texts are empty then."""


def _wire(kind: type[Event]) -> Any:
    fields = [_field(field) for field in msgspec.structs.fields(kind)]
    if kind is Event:
        return msgspec.defstruct("UnknownWire", [("type", str), *sorted(fields, key=len)])
    return msgspec.defstruct(
        f"{kind.__name__}Wire",
        sorted(fields, key=len),  # without a default first
        tag_field="type",
        tag=kind.__struct_config__.tag,
        forbid_unknown_fields=True,
        gc=False,
    )


def _field(field: msgspec.structs.FieldInfo) -> tuple[str, Any] | tuple[str, Any, Any]:
    name = field.name
    if name == "at":  # many are read at once
        return (name, str)
    if name == "stamp":  # equal ones are read once
        return (name, msgspec.Raw, msgspec.Raw(b""))
    if field.required:
        return (name, field.type)
    if field.default is None and name != "extra":
        return (name, get_args(field.type)[0], NOT_SAID)
    return (name, field.type, field.default)


WIRES: Final[Mapping[str, Any]] = {
    str(kind.__struct_config__.tag): _wire(kind) for kind in get_args(PlaybackEvent)
}
"""By the type's name. Its fields beside HEAD become the columns of their names."""
UnknownWire: Final = _wire(Event)
"""An event of a newer writer's type, which stands in the field `type`."""
_decoder: codec.Decoder[Any] = codec.Decoder(Union[tuple(WIRES.values())])  # noqa: UP007 - of any number


def read_wires(values: Iterable[bytes | None]) -> list[Any]:
    """The wires of all values. Raises InvalidMessageError where one of them is none."""
    return _decoder.decode_each([value or b"" for value in values])
