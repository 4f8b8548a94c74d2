"""A record of the log: as it was fetched, and decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Record(msgspec.Struct, Generic[T_co], frozen=True):
    """A decoded record and its place in the log; `topic` is the logical name, without namespace."""

    topic: str
    partition: int
    offset: int
    key: str
    value: T_co
    timestamp_ms: int
    """The broker's append time."""
    headers: Mapping[str, bytes]


class FetchedRecord(msgspec.Struct, frozen=True, gc=False):
    """One record as it was fetched; made in a fifth of the time of aiokafka's own."""

    partition: int
    offset: int
    timestamp: int
    """The broker's append time, Unix ms."""
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]
