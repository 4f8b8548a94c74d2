"""Where one insert ends and the next begins: a pure function of the log.

A chunk starts where the last one ended and takes records until a count, a size, or a record of a
later time bucket by the broker's clock. So a sink that died cuts the same chunks again, and the
deduplication token of an insert names the same rows. `take(n, within)` would not: its borders
follow the reader's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from streams.reader import LogRecord, RawRecord
from streams.records import FetchedRecord

TOKEN_VERSION: Final = "v1"  # noqa: S105 - a deduplication token, no secret
"""Raised for backfills: a token must never name other rows than it did before."""
RECORD_BYTES: Final = 400
"""What a record takes in memory beside its value: objects for key, headers and numbers."""


class ChunkLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How large a chunk may grow, and how long it may wait."""

    records_max: int = 20_000
    bytes_max: int = 16 << 20
    """Of values, with RECORD_BYTES for each."""
    bucket_ms: int = 2_000
    grace_ms: int = 250
    """How late a record of a bucket may still come, by the broker's clock against ours."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive records of one partition; never empty."""

    topic: str
    partition: int
    records: Sequence[LogRecord]
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

    def placed(self, record: LogRecord) -> RawRecord:
        """One of the records, with its place."""
        return FetchedRecord(
            self.partition,
            record.offset,
            record.timestamp,
            record.key,
            record.value,
            record.headers or (),
        )


@dataclass(slots=True)
class Chunker:
    """Cuts one partition; `phase_ms` shifts its buckets: partitions shall not insert at once."""

    topic: str
    partition: int
    limits: ChunkLimits
    phase_ms: int = 0
    _records: list[LogRecord] = field(default_factory=list)
    _size_bytes: int = 0
    _bucket: int = 0

    @property
    def size_bytes(self) -> int:
        """What waits for its chunk's end."""
        return self._size_bytes

    @property
    def oldest(self) -> LogRecord | None:
        """The first of them."""
        return self._records[0] if self._records else None

    def add(self, records: Sequence[LogRecord]) -> list[Chunk]:
        """Take the next records, in order; the chunks that they close."""
        if not records:
            return []
        size_bytes = sum([len(record.value or b"") for record in records])
        size_bytes += RECORD_BYTES * len(records)
        if self._fits(records, size_bytes):
            self._records += records
            self._size_bytes += size_bytes
            return []
        return [chunk for record in records for chunk in self._add(record)]

    def _fits(self, records: Sequence[LogRecord], size_bytes: int) -> bool:
        """Whether adding them one by one would close nothing."""
        if not self._records:
            return False
        return (
            len(self._records) + len(records) < self.limits.records_max
            and self._size_bytes + size_bytes <= self.limits.bytes_max
            and self._bucket_of(max([record.timestamp for record in records])) <= self._bucket
        )

    def _add(self, record: LogRecord) -> list[Chunk]:
        closed: list[Chunk] = []
        size_bytes = len(record.value or b"") + RECORD_BYTES
        bucket = self._bucket_of(record.timestamp)
        if self._records and (
            bucket > self._bucket or self._size_bytes + size_bytes > self.limits.bytes_max
        ):
            closed.append(self._close())
        if not self._records:
            self._bucket = bucket
        self._records.append(record)
        self._size_bytes += size_bytes
        if len(self._records) >= self.limits.records_max:
            closed.append(self._close())
        return closed

    def close_idle(self, now_ms: int) -> Chunk | None:
        """The open chunk, if no record can come for it any more.

        Only for a reader that has seen the partition's end: what waits there unread belongs to it.
        """
        bucket_end_ms = (self._bucket + 1) * self.limits.bucket_ms - self.phase_ms
        if now_ms < bucket_end_ms + self.limits.grace_ms:
            return None
        return self.close()

    def close(self) -> Chunk | None:
        """The open chunk, for a reader that has come to its end."""
        return self._close() if self._records else None

    def _bucket_of(self, timestamp_ms: int) -> int:
        return (timestamp_ms + self.phase_ms) // self.limits.bucket_ms

    def _close(self) -> Chunk:
        chunk = Chunk(self.topic, self.partition, self._records, self._size_bytes)
        self._records = []
        self._size_bytes = 0
        return chunk
