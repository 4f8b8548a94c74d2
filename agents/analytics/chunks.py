"""Where one insert ends and the next begins: a function of the log, and of what was begun.

A chunk starts where the last one ended and takes whole batches until a count, a size, or a batch of
a later time bucket by the broker's clock. So a sink that died cuts the same chunks again, and the
deduplication token of an insert names the same rows. `take(n, within)` would not: its borders
follow the reader's clock. At the end of a log the reader's clock does decide; there the end of a
chunk is noted before it is stored, and cut again as noted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Final

import msgspec

from agents.analytics.batches import Batch
from streams.reader import LogRecord, RawRecord
from streams.records import FetchedRecord

TOKEN_VERSION: Final = "v1"  # noqa: S105 - a deduplication token, no secret
"""Raised for backfills: a token must never name other rows than it did before."""


class ChunkLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How large a chunk may grow, and how long it may wait."""

    records_max: int = 20_000
    bytes_max: int = 8 << 20
    """As the broker keeps them; one batch may be more, of each."""
    bucket_ms: int = 2_000
    grace_ms: int = 250
    """How late a record of a bucket may still come, by the broker's clock against ours."""
    early_ms: int = 500
    """How long records gather at least, where their table has so few that they need not longer."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive batches of one partition; never none."""

    topic: str
    partition: int
    batches: Sequence[Batch]
    size_bytes: int

    @property
    def first(self) -> int:
        """The first offset."""
        return self.batches[0].first

    @property
    def last(self) -> int:
        """The last offset."""
        return self.batches[-1].next_offset - 1

    @property
    def oldest_at_ms(self) -> int:
        """When the broker took its first record."""
        return self.batches[0].oldest_at_ms

    @property
    def newest_at_ms(self) -> int:
        """When the broker took its last record."""
        return self.batches[-1].newest_at_ms

    @property
    def count(self) -> int:
        """How many records there are at most: compaction may have taken some."""
        return sum(batch.count for batch in self.batches)

    @property
    def token(self) -> str:
        """Names exactly these records."""
        return f"{TOKEN_VERSION}:{self.topic}:{self.partition}:{self.first}-{self.last}"

    def records(self) -> Iterator[LogRecord]:
        """The records, read anew."""
        return chain.from_iterable(batch.records() for batch in self.batches)

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

    def placed_at(self, offsets: Collection[int]) -> list[RawRecord]:
        """The records of these offsets, with their places."""
        return [self.placed(record) for record in self.records() if record.offset in offsets]


@dataclass(slots=True)
class Chunker:
    """Cuts one partition; `phase_ms` shifts its buckets: partitions shall not insert at once.

    `begun_until`: the last offset of the chunk that an earlier sink had begun to store and may be
    storing yet. It is cut again as it was: a chunk that was closed because nothing came would take
    more today, under another token.
    """

    topic: str
    partition: int
    limits: ChunkLimits
    phase_ms: int = 0
    begun_until: int | None = None
    _batches: list[Batch] = field(default_factory=list)
    _count: int = 0
    _size_bytes: int = 0
    _bucket: int = 0

    @property
    def size_bytes(self) -> int:
        """What waits for its chunk's end."""
        return self._size_bytes

    @property
    def oldest(self) -> Batch | None:
        """The first of it."""
        return self._batches[0] if self._batches else None

    def add(self, batch: Batch) -> list[Chunk]:
        """Take the next batch; the chunks that it closes, at most three."""
        if self.begun_until is not None:
            return self._add_begun(batch, self.begun_until + 1)
        closed: list[Chunk] = []
        bucket = self._bucket_of(batch.newest_at_ms)
        if self._batches and (
            bucket > self._bucket
            or self._count + batch.count > self.limits.records_max
            or self._size_bytes + len(batch.data) > self.limits.bytes_max
        ):
            closed.append(self._close())
        if not self._batches:
            self._bucket = bucket
        self._append(batch)
        if self._count >= self.limits.records_max:
            closed.append(self._close())
        return closed

    def _add_begun(self, batch: Batch, end: int) -> list[Chunk]:
        if batch.first < end:
            part = batch.until(end)
            if not self._batches:
                self._bucket = self._bucket_of(part.newest_at_ms)
            self._append(part)
        if batch.next_offset < end:
            return []
        self.begun_until = None
        closed = [self._close()] if self._batches else []
        if batch.next_offset > end:
            closed += self.add(replace(batch, first=max(batch.first, end)))
        return closed

    def close_idle(self, now_ms: int, *, is_early_fine: bool) -> Chunk | None:
        """The open chunk, if no record can come for it any more, or if it need not wait for more.

        Only for a reader that has seen the partition's end: what waits there unread belongs to it.
        """
        if not self._batches:
            return None
        bucket_end_ms = (self._bucket + 1) * self.limits.bucket_ms - self.phase_ms
        due_ms = bucket_end_ms + self.limits.grace_ms
        if is_early_fine:
            due_ms = min(due_ms, self._batches[0].oldest_at_ms + self.limits.early_ms)
        return self._close() if now_ms >= due_ms else None

    def close(self) -> Chunk | None:
        """The open chunk, for a reader that has come to its end."""
        return self._close() if self._batches else None

    def _bucket_of(self, timestamp_ms: int) -> int:
        return (timestamp_ms + self.phase_ms) // self.limits.bucket_ms

    def _append(self, batch: Batch) -> None:
        self._batches.append(batch)
        self._count += batch.count
        self._size_bytes += len(batch.data)

    def _close(self) -> Chunk:
        chunk = Chunk(self.topic, self.partition, self._batches, self._size_bytes)
        self.begun_until = None
        self._batches = []
        self._count = self._size_bytes = 0
        return chunk
