"""One record of the log, decoded."""

from __future__ import annotations

from collections.abc import Mapping
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
