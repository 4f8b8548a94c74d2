"""Bytes of a POST to events, item by item; pure, and never crashes on any bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import msgspec

from gateway.counting import require_count, split_count
from gateway.problems import ProblemError, RefusedItem
from gateway.wire import (
    FIELDS,
    ID_PATTERN,
    WireEvent,
    any_object,
    lenient_item,
    plain_item,
    plain_items,
    raw_items,
    strict_item,
)
from schemas.errors import InvalidMessageError

Form = Literal["json", "ndjson", "either"]
Item = WireEvent | RefusedItem

EXTRA_DEPTH_MAX: Final = 8
EXTRA_FIELDS_MAX: Final = 64
DETAIL_CHARS_MAX: Final = 300

_FORMS: Final[dict[str, Form]] = {
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    # A beacon may only send what needs no preflight.
    "text/plain": "either",
    "application/octet-stream": "either",
    "": "either",
}
_UUID: Final = re.compile(ID_PATTERN)
_UUID_CHARS: Final = 36
_UUID_BYTES: Final = 16
_UUID_DASHES: Final = (8, 13, 18, 23)
_UNIT: Final = re.compile(
    r"_(ms|s|sec|secs|seconds|millis|milliseconds|us|kbps|bps|mbps|bytes|kb|kib)$"
)


def form_of(content_type: str) -> Form:
    """How the body is to be read; ProblemError 415 for a media type that holds no events."""
    form = _FORMS.get(content_type.partition(";")[0].strip().lower())
    if form is None:
        raise ProblemError(415, "media-type", "application/json or application/x-ndjson")
    return form


def read_items(body: bytes, form: Form, *, items_max: int, item_bytes_max: int) -> list[Item]:
    """Each item as an event, or why it is none.

    Raises ProblemError: 400 where the whole is no list of items or not as many as its first line
    announces, 413 where there are too many.
    """
    announced = None
    if form != "json":
        announced, body = split_count(body)
    if form == "json" or (form == "either" and body.lstrip()[:1] == b"["):
        items = _read_json(body, items_max, item_bytes_max)
    elif form == "either" and _is_one_object(body):
        items = [_read_item(0, body, item_bytes_max)]
    else:
        items = _read_lines(body, items_max, item_bytes_max)
    require_count(announced, len(items))
    if not items:
        raise ProblemError(400, "empty", "there is no event in the body")
    if len(items) > items_max:
        raise ProblemError(413, "too-many", f"at most {items_max} events")
    return items


def _read_json(body: bytes, items_max: int, item_bytes_max: int) -> list[Item]:
    if body.lstrip()[:1] != b"[":
        return [_read_item(0, body, item_bytes_max)]
    if len(body) <= item_bytes_max:  # then no item can be too large, and one pass may do
        items = _in_one_pass(plain_items.decode, body)
        if items is not None:
            return items
    try:
        raws = raw_items.decode(body)
    except InvalidMessageError as error:
        raise ProblemError(400, error.reason, error.detail[:DETAIL_CHARS_MAX]) from error
    if len(raws) > items_max:
        raise ProblemError(413, "too-many", f"at most {items_max} events")
    return [_read_item(index, bytes(raw), item_bytes_max) for index, raw in enumerate(raws)]


def _read_lines(body: bytes, items_max: int, item_bytes_max: int) -> list[Item]:
    if len(body) <= item_bytes_max:
        items = _in_one_pass(plain_item.decode_lines, body)
        if items is not None:
            return items
    lines = [line for line in body.split(b"\n") if line.strip()]
    if len(lines) > items_max:
        raise ProblemError(413, "too-many", f"at most {items_max} events")
    return [_read_item(index, line, item_bytes_max) for index, line in enumerate(lines)]


def _in_one_pass(decode: Callable[[bytes], list[WireEvent]], body: bytes) -> list[Item] | None:
    """None where anything is odd: the slow way tells which item it is, and keeps unknown fields."""
    try:
        items = decode(body)
    except InvalidMessageError:
        return None
    return [*items] if are_uuids([item.id for item in items]) else None


def _is_one_object(body: bytes) -> bool:
    try:
        any_object.decode(body)
    except InvalidMessageError:
        return False
    return True


def _read_item(index: int, raw: bytes, bytes_max: int) -> Item:
    if len(raw) > bytes_max:
        return RefusedItem(
            index=index, status=413, reason="too-large", detail=f"at most {bytes_max} bytes"
        )
    try:
        return strict_item.decode(raw)
    except InvalidMessageError as strict_error:
        try:
            return _read_with_extra(raw, strict_error)
        except InvalidMessageError as error:
            return _refuse(index, raw, error)


def _read_with_extra(raw: bytes, strict_error: InvalidMessageError) -> WireEvent:
    """The event with its unknown fields below `extra`; raises what is really wrong with it."""
    fields = any_object.decode(raw)
    known = FIELDS.get(str(fields.get("type")))
    unknown = {} if known is None else {k: v for k, v in fields.items() if k not in known}
    if known is None or not unknown:
        raise strict_error
    event = lenient_item.decode(raw)
    _require_tame(unknown, known)
    return msgspec.structs.replace(event, extra={**(event.extra or {}), **unknown})


def _require_tame(unknown: dict[str, Any], known: frozenset[str]) -> None:
    if len(unknown) > EXTRA_FIELDS_MAX:
        raise InvalidMessageError("extra", f"more than {EXTRA_FIELDS_MAX} unknown fields")
    if not _is_shallow(unknown, EXTRA_DEPTH_MAX):
        raise InvalidMessageError("too-deep", f"unknown fields nest deeper than {EXTRA_DEPTH_MAX}")
    units = {_UNIT.sub("", name): name for name in known if _UNIT.search(name)}
    for name in unknown:
        stem = _UNIT.sub("", name)
        if stem in units:
            # Kept as an extra it would look stored and count nowhere.
            raise InvalidMessageError("unit", f"{name[:64]}: the field is {units[stem]}")


def _is_shallow(value: Any, depth_max: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return depth_max > 0 and all(_is_shallow(each, depth_max - 1) for each in inner)


def is_uuid(text: str) -> bool:
    """Whether it is the text form of a UUID."""
    return _UUID.fullmatch(text) is not None


def are_uuids(texts: Sequence[str]) -> bool:
    """`is_uuid` of all of them, in a tenth of the time."""
    count, joined = len(texts), "".join(texts)
    if not joined.isascii() or set(map(len, texts)) - {_UUID_CHARS}:
        return False
    dashes = "-" * count
    if any(joined[place::_UUID_CHARS] != dashes for place in _UUID_DASHES):
        return False
    try:
        return len(bytes.fromhex(joined.replace("-", ""))) == _UUID_BYTES * count
    except ValueError:
        return False


def _refuse(index: int, raw: bytes, error: InvalidMessageError) -> RefusedItem:
    return RefusedItem(
        index=index,
        id=_id_of(raw),
        status=400,
        reason=error.reason,
        detail=error.detail[:DETAIL_CHARS_MAX],
    )


def _id_of(raw: bytes) -> str:
    try:
        found = any_object.decode(raw).get("id")
    except InvalidMessageError:
        return ""
    return found if isinstance(found, str) and is_uuid(found) else ""
