"""Playback events as they stand in the log, all types as one: decoded for columns.

What a line says that this type cannot hold (a field or a type of a newer writer, a wrong value) is
left to `EventReader`, record by record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

import msgspec

from schemas import codec
from schemas.errors import InvalidMessageError
from schemas.events import Event, PlaybackEvent

BLOCK_ROWS: Final = 256
HEAD: Final = frozenset(("session_id", "source", "sequence", "at", "id", "extra", "stamp"))
"""Fields of every event that become columns in ways of their own."""
ANY_BODY: Final = frozenset(field.name for field in msgspec.structs.fields(Event)) - HEAD
BODY: Final[Mapping[str, frozenset[str]]] = {
    str(kind.__struct_config__.tag): frozenset(f.name for f in msgspec.structs.fields(kind)) - HEAD
    for kind in get_args(PlaybackEvent)
}
"""By type: the fields that become the columns of their name."""
REQUIRED: Final[Mapping[str, frozenset[str]]] = {
    str(kind.__struct_config__.tag): frozenset(
        f.name for f in msgspec.structs.fields(kind) if f.required and f.name not in HEAD
    )
    for kind in get_args(PlaybackEvent)
}


def _fields() -> list[tuple[str, Any] | tuple[str, Any, Any]]:
    """Those of all types; `extra` and `stamp` stay bytes."""
    found: dict[str, tuple[str, Any] | tuple[str, Any, Any]] = {"type": ("type", str)}
    for kind in get_args(PlaybackEvent):
        for field in msgspec.structs.fields(kind):
            name = field.name
            if name in found and not field.required:
                continue
            if name in ("extra", "stamp"):
                found[name] = (name, msgspec.Raw, msgspec.Raw(b""))
            elif name in HEAD:
                is_given = field.default is not msgspec.NODEFAULT
                found[name] = (name, field.type, field.default) if is_given else (name, field.type)
            elif name not in found:
                found[name] = (name, field.type, _absent(field.default))
    return sorted(found.values(), key=len)


def _absent(default: Any) -> Any:
    """What stands for a field that is not said: "" for texts, None for the rest."""
    return "" if default == "" else None


Wire: Any = msgspec.defstruct("Wire", _fields(), forbid_unknown_fields=True, gc=False)
FIELDS: Final[tuple[str, ...]] = Wire.__struct_fields__
_decoder: codec.Decoder[Any] = codec.Decoder(Wire)


@dataclass(slots=True)
class Cells:
    """Wires by column. `positions`: of which value each row is; `unread`: values that are none."""

    columns: dict[str, list[Any]]
    positions: list[int]
    unread: list[int]


def read_cells(values: Sequence[bytes | None], instead: Mapping[int, Any]) -> Cells:
    """The Wires of the values; `instead`: what stands for some of them, None for no row.

    In blocks that fit into the processor's cache, which halves the time.
    """
    columns: list[list[Any]] = [[] for _ in FIELDS]
    positions, unread = list[int](), list[int]()
    for start in range(0, len(values), BLOCK_ROWS):
        block = values[start : start + BLOCK_ROWS]
        places = range(start, start + len(block))
        wires = None if any(place in instead for place in places) else _decode_all(block)
        if wires is None:
            wires = []
            for place, value in zip(places, block, strict=True):
                wire = instead[place] if place in instead else _decode(value)
                if wire is not None:
                    wires.append(wire)
                    positions.append(place)
                elif place not in instead:
                    unread.append(place)
        else:
            positions += places
        rows = map(msgspec.structs.astuple, wires)
        for column, cells in zip(columns, zip(*rows, strict=True), strict=bool(wires)):
            column.extend(cells)
    return Cells(dict(zip(FIELDS, columns, strict=True)), positions, unread)


def _decode_all(values: Sequence[bytes | None]) -> list[Any] | None:
    """None where one of them is no Wire."""
    if not all(values):
        return None
    body = b"\n".join(values)  # type: ignore[arg-type]  # none of them is None
    if body.count(b"\n") != len(values) - 1:  # a line would not be a value
        return None
    try:
        wires = _decoder.decode_lines(body)
    except InvalidMessageError:
        return None
    return wires if len(wires) == len(values) else None


def _decode(value: bytes | None) -> Any:
    try:
        return _decoder.decode(value or b"")
    except InvalidMessageError:
        return None
