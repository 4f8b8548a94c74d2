"""A license decision as the audit needs it: its place, its hash, and whom it follows."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from schemas import codec
from schemas.errors import InvalidMessageError
from streams.chain import payload_hash

Where = Literal["log", "table"]
"""`license.decisions.v1` in Kafka, or `decisions_raw` in ClickHouse."""

Kind = Literal["changed", "missing", "added", "forged"]
"""`forged`: it stands in the chain, but its MAC is wrong."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One decision in one place."""

    offset: int
    hash: str
    """SHA-256 of the record's bytes, hexadecimal: what the next one names as `previous`."""
    previous: str | None
    """None: the record cannot be read at all."""
    at_ms: int
    """When it was decided."""
    outcome: str = ""
    is_forged: bool = False
    """Its MAC is wrong: whoever wrote it did not have the state key."""
    number: int = 0
    """One more than that of the decision that it follows."""


class _Linked(msgspec.Struct, frozen=True, kw_only=True):
    """What the audit reads of a decision; fields of newer writers do not matter to it."""

    outcome: str
    decided_at_ms: int
    previous: str = ""
    number: int = 0


_linked: Final[codec.Decoder[_Linked]] = codec.Decoder(_Linked)


def read_entry(offset: int, payload: bytes, *, at_ms: int, is_forged: bool = False) -> Entry:
    """The entry of a payload; `at_ms` stands where it does not say when it was decided."""
    try:
        linked = _linked.decode(payload)
    except InvalidMessageError:
        return Entry(offset, payload_hash(payload), None, at_ms, is_forged=is_forged)
    return Entry(
        offset,
        payload_hash(payload),
        linked.previous,
        linked.decided_at_ms,
        linked.outcome,
        is_forged,
        linked.number,
    )


class Break(msgspec.Struct, frozen=True, kw_only=True):
    """Where a record of decisions is not what the agent wrote."""

    where: Where
    partition: int
    offset: int
    until_offset: int
    """The last offset that it is about: of a missing range, else `offset`."""
    kind: Kind
    detail: str


def break_at(where: Where, partition: int, offset: int, kind: Kind, detail: str) -> Break:
    """A break that is about one offset."""
    return Break(
        where=where,
        partition=partition,
        offset=offset,
        until_offset=offset,
        kind=kind,
        detail=detail,
    )
