"""What the license agent knows of accounts and titles: views whose versions never go back.

A record's MAC shows that its owner wrote it, not that it is the newest: who can write to Kafka
could copy an older one (a subscription that still ran) behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Generic, Protocol, TypeVar

from schemas.accounts import Account
from schemas.catalog import Title
from streams.records import Record


class Versioned(Protocol):
    """What counts its owner's changes."""

    @property
    def version(self) -> int:
        """Higher is newer."""


V = TypeVar("V", bound=Versioned)


class Newest(Mapping[str, V], Generic[V]):
    """The newest version of each key."""

    def __init__(self) -> None:
        self._values: dict[str, V] = {}

    def take(self, record: Record[V | None]) -> None:
        """A record of the owner's topic; None removes."""
        if record.value is None:
            self._values.pop(record.key, None)
            return
        known = self._values.get(record.key)
        if known is None or record.value.version >= known.version:
            self._values[record.key] = record.value

    def __getitem__(self, key: str) -> V:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


Accounts = Newest[Account]
Titles = Newest[Title]
