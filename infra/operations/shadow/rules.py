"""What an agent's rules are to a shadow: fed in the order of the log, on the log's clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from infra.operations.shadow.reading import ShadowReader
from streams.records import Record
from streams.topic import Topic


class Shadow(Protocol):
    """The rules with their memory: of one partition's keys, or of all."""

    def warm_up(self, record: Record[Any]) -> None:
        """Fold what was recorded before the window."""

    def take(self, record: Record[Any]) -> Sequence[Any]:
        """The decisions that a record of the window brings, and those that were due before it."""

    def rest(self) -> Sequence[Any]:
        """Those that only waited for their time when the window ended."""


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision is compared by."""

    identity: Hashable
    """The same for what was decided then and what is decided today on the same cause."""
    subject: str
    """Whom it is about; the key of its record."""
    cause: str
    said: str


Make = Callable[[], Shadow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One agent's."""

    reads: tuple[Topic, ...]
    """Everything that its decisions follow from, in the order of equal times."""
    windows: tuple[Topic, ...]
    """Those of them that a window may be named of."""
    remembers: tuple[Topic, ...]
    """What fills its memory."""
    decides: Topic
    is_partitioned: bool
    """What concerns a key has always been in one partition, the same of every topic."""
    describe: Callable[[Any], Decided]
    learn: Callable[[ShadowReader], Awaitable[Make]]
    """Read what the rules know beside their memory."""
