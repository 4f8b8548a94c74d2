"""A Kafka consumer that hands out whole batches, unread.

aiokafka's `getmany` makes an object of each record, long before anybody looks at it. A batch keeps
its bytes until its chunk's turn comes; then its records are read and dropped while they are in the
processor's cache. Private names of aiokafka are used here; its version is pinned, and tests read
through this.
"""

# ruff: noqa: SLF001 - aiokafka has no public way to whole batches
from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import ConsumerStoppedError, CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.memory_records import MemoryRecords

from streams.reader import LogRecord

_LENGTH: Final = slice(8, 12)
"""Where a batch tells how many bytes follow, behind its first offset."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive records, as the broker keeps them."""

    data: bytes | memoryview
    first: int
    """Offset from which on its records count: a reader may begin amid a batch."""
    next_offset: int
    oldest_at_ms: int
    """Of the first record; no other is older, where the broker stamped them."""
    newest_at_ms: int

    @property
    def count(self) -> int:
        """How many records there are at most: compaction may have taken some."""
        return self.next_offset - self.first

    def records(self) -> Iterator[LogRecord]:
        """The records, read anew. Raises CorruptRecordException."""
        batch = DefaultRecordBatch(self.data)
        if not batch.validate_crc():
            raise CorruptRecordException(f"wrong checksum at offset {self.first}")
        if (self.first, self.next_offset) == (batch.base_offset, batch.next_offset):
            return iter(batch)
        return (record for record in batch if self.first <= record.offset < self.next_offset)

    def until(self, end: int) -> Batch:
        """The batch without the records from `end` on."""
        return self if self.next_offset <= end else replace(self, next_offset=end)

    def pieces(self, records_max: int) -> Iterator[Batch]:
        """The batch in parts of so many records, for a reader that may take only a few at once."""
        for first in range(self.first, self.next_offset, records_max):
            yield replace(self, first=first).until(first + records_max)


class _KeptRecords(MemoryRecords):
    """What a fetch brought of one partition; aiokafka's own tells its bytes to nobody."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data


class BatchConsumer(AIOKafkaConsumer):
    """`getbatches` instead of `getmany`; reads what is uncommitted, too."""

    async def start(self) -> None:
        """Begin to fetch; from here on, all of this process's consumers keep what they fetch."""
        vars(fetcher)["MemoryRecords"] = _KeptRecords
        await super().start()

    async def committed_with_note(self, partition: TopicPartition) -> tuple[int | None, str]:
        """The group's offset, and what was noted with it; None where there is none yet."""
        found = await self._coordinator.fetch_committed_offsets([partition])
        committed = found.get(partition)
        if committed is None or committed.offset < 0:
            return None, ""
        return committed.offset, committed.metadata or ""

    async def getbatches(self, *, timeout_ms: int) -> dict[TopicPartition, list[Batch]]:
        """What has been fetched, in order. Waits until there is something, at most `timeout_ms`.

        Raises what `getmany` raises.
        """
        if self._closed:
            raise ConsumerStoppedError
        self._coordinator.check_errors()
        with self._subscription.fetch_context():
            if self._subscription.reassignment_in_progress:
                await self._subscription.wait_for_assignment()
            found = self._drain()
            if not found and await self._has_fetched(timeout_ms / 1000):
                found = self._drain()
        return found

    async def _has_fetched(self, timeout_s: float) -> bool:
        waiter = self._fetcher._create_fetch_waiter()
        done, _ = await asyncio.wait([waiter], timeout=timeout_s)
        if not done:
            waiter.cancel()
            return False
        waiter.result()  # raises where reading is not allowed
        return not self._closed and not self._subscription.reassignment_in_progress

    def _drain(self) -> dict[TopicPartition, list[Batch]]:
        fetched = self._fetcher._records
        found: dict[TopicPartition, list[Batch]] = {}
        for partition in list(fetched):
            result = fetched[partition]
            if not isinstance(result, FetchResult):
                if found:  # the error is raised next time
                    break
                del fetched[partition]
                result.check_raise()
            records = result._partition_records
            try:
                if result.check_assignment(partition) and (batches := _batches(result)):
                    found[partition] = batches
            finally:
                del fetched[partition]
                # It refers to itself by a generator that nobody runs: its bytes would stay until
                # the garbage collector comes.
                records._records_iterator.close()
        self._fetcher._notify(self._fetcher._wait_consume_future)
        return found


def _batches(result: Any) -> list[Batch]:
    """Everything of one partition's fetch; the consumer's position moves behind it."""
    fetch = result._partition_records
    data, found = memoryview(fetch._records.data), list[Batch]()
    while fetch._records.has_next():
        batch = fetch._records.next_batch()
        size = _LENGTH.stop + int.from_bytes(data[_LENGTH], "big")
        first = max(batch.base_offset, fetch.next_fetch_offset)
        if not batch.is_control_batch and first < batch.next_offset:
            times_ms = batch.first_timestamp, batch.max_timestamp
            oldest_at_ms = times_ms[batch.timestamp_type]  # 1: the broker's, of all records
            found.append(
                Batch(data[:size], first, batch.next_offset, oldest_at_ms, batch.max_timestamp)
            )
        fetch.next_fetch_offset = batch.next_offset
        data = data[size:]
    result._update_position()
    return found
