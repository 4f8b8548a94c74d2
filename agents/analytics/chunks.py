"""Where one insert ends and the next begins: a pure function of the log.

A chunk starts where the last one ended and takes records until a count, a size, or a record of a
later time bucket by the broker's clock. So a sink that died cuts the same chunks again, and the
deduplication token of an insert names the same rows. `take(n, within)` would not: its borders
follow the reader's clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import msgspec

from streams.reader import RawRecord

R = TypeVar("R", bound=RawRecord)

TOKEN_VERSION: Final = "v1"  # noqa: S105 - a deduplication token, no secret
"""Raised for backfills: a token must never name other rows than it did before."""


class ChunkLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How large a chunk may grow, and how long it may wait."""

    records_max: int = 20_000
    bytes_max: int = 8 << 20
    bucket_ms: int = 2_000
    grace_ms: int = 250
    """How late a record of a bucket may still come, by the broker's clock against ours."""


@dataclass(frozen=True, slots=True)
class Chunk(Generic[R]):
    """Consecutive records of one partition; never empty."""

    topic: str
    partition: int
    records: tuple[R, ...]
    size_bytes: int

    @property
    def first(self) -> int:
        """The first offset."""
        return self.records[0].offset

    @property
    def last(self) -> int:
        """The last offset."""
        return self.records[-1].offset

    @property
    def token(self) -> str:
        """Names exactly these records."""
        return f"{TOKEN_VERSION}:{self.topic}:{self.partition}:{self.first}-{self.last}"


@dataclass(slots=True)
class Chunker(Generic[R]):
    """Cuts one partition; `phase_ms` shifts its buckets: partitions shall not insert at once."""

    topic: str
    partition: int
    limits: ChunkLimits
    phase_ms: int = 0
    _records: list[R] = field(default_factory=list)
    _size_bytes: int = 0
    _bucket: int = 0

    @property
    def size_bytes(self) -> int:
        """What waits for its chunk's end."""
        return self._size_bytes

    @property
    def oldest(self) -> R | None:
        """The first of them."""
        return self._records[0] if self._records else None

    def add(self, record: R) -> list[Chunk[R]]:
        """Take the next record; the chunks that it closes, at most two."""
        closed: list[Chunk[R]] = []
        size = len(record.value or b"") + len(record.key or b"")
        bucket = self._bucket_of(record.timestamp)
        if self._records and (
            bucket > self._bucket or self._size_bytes + size > self.limits.bytes_max
        ):
            closed.append(self._close())
        if not self._records:
            self._bucket = bucket
        self._records.append(record)
        self._size_bytes += size
        if len(self._records) >= self.limits.records_max:
            closed.append(self._close())
        return closed

    def close_idle(self, now_ms: int) -> Chunk[R] | None:
        """The open chunk, if no record can come for it any more.

        Only for a reader that has seen the partition's end: what waits there unread belongs to it.
        """
        bucket_end_ms = (self._bucket + 1) * self.limits.bucket_ms - self.phase_ms
        if now_ms < bucket_end_ms + self.limits.grace_ms:
            return None
        return self.close()

    def close(self) -> Chunk[R] | None:
        """The open chunk, for a reader that has come to its end."""
        return self._close() if self._records else None

    def _bucket_of(self, timestamp_ms: int) -> int:
        return (timestamp_ms + self.phase_ms) // self.limits.bucket_ms

    def _close(self) -> Chunk[R]:
        chunk = Chunk(self.topic, self.partition, tuple(self._records), self._size_bytes)
        self._records = []
        self._size_bytes = 0
        return chunk
