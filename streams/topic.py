"""What a topic is: its name, key and value, retention, its one writer and its readers."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

import msgspec

_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS


class Family(StrEnum):
    """Topics of one family have the same key space and so the same number of partitions."""

    SESSION = "session"
    ACCOUNT = "account"
    PROFILE = "profile"
    SINGLE = "single"
    REPLIES = "replies"


PARTITIONS: Final[dict[Family, int]] = {
    Family.SESSION: 8,
    Family.ACCOUNT: 8,
    Family.PROFILE: 8,
    Family.SINGLE: 1,
    Family.REPLIES: 16,
}
"""As topics are made. Which of them may be given more later: `streams.partitions.GROWING`."""


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """One topic. Retention None is for ever; both bounds hold where both are given."""

    name: str
    carries: str
    key: str
    value: Any
    """The type of the value; `bytes` where it is sealed."""
    family: Family = Family.SINGLE
    """Few records, unless told."""
    writer: str
    readers: tuple[str, ...]
    retention_ms: int | None = None
    """None: for good, as what is compacted mostly is."""
    retention_bytes: int | None = None
    """Per partition."""
    is_compacted: bool = False
    forgets_within_ms: int | None = None
    """Compacted: what was replaced or removed leaves the broker's files this long after, where the
    partition is still written to. None: whenever the broker gets to it."""
    is_authenticated: bool = False
    """Records carry a MAC under the state key: who can only write to Kafka forges none."""
    is_recorded: bool = False
    """Analytics stores every record as a decision, by its schema."""
    has_dead_letters: bool = False
    is_chained: bool = False
    """Each record follows the one before it: after one that may be missing no more is written."""

    @property
    def partitions(self) -> int:
        """How many partitions it is made with."""
        return PARTITIONS[self.family]

    @property
    def dead_letters(self) -> Topic:
        """The topic that takes what could not be read or handled; few records, so one partition."""
        return Topic(
            name=f"{self.name}.dead-letter",
            carries=f"records of {self.name} that could not be read or handled, as they came",
            key=self.key,
            value=bytes,
            family=Family.SINGLE,
            writer="agents",
            readers=("analytics",),
            retention_ms=30 * _DAY_MS,
        )
