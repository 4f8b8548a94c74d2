"""A Kafka consumer that hands out whole fetched batches.

aiokafka's `getmany` makes an object of eleven fields for each record, which costs more than all
else that the sink does with most of them. Its private names are used here; the version is pinned,
and a test asserts them.
"""

# ruff: noqa: SLF001 - aiokafka has no public way to whole batches
from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import ConsumerStoppedError, CorruptRecordException

from streams.reader import LogRecord


class BatchConsumer(AIOKafkaConsumer):
    """`getbatches` instead of `getmany`; reads what is uncommitted, too."""

    async def getbatches(self, *, timeout_ms: int) -> dict[TopicPartition, list[list[LogRecord]]]:
        """What has been fetched: per partition, the records of each batch, in order.

        Waits until there is something, at most `timeout_ms`. Raises what `getmany` raises.
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

    def _drain(self) -> dict[TopicPartition, list[list[LogRecord]]]:
        fetched = self._fetcher._records
        found: dict[TopicPartition, list[list[LogRecord]]] = {}
        for partition in list(fetched):
            result = fetched[partition]
            if not isinstance(result, FetchResult):
                if found:  # the error is raised next time
                    break
                del fetched[partition]
                result.check_raise()
            try:
                if result.check_assignment(partition) and (batches := _batches(result)):
                    found[partition] = batches
            finally:
                del fetched[partition]
        self._fetcher._notify(self._fetcher._wait_consume_future)
        return found


def _batches(result: Any) -> list[list[LogRecord]]:
    """Everything of one partition's fetch; the consumer's position moves behind it."""
    fetch = result._partition_records
    found: list[list[LogRecord]] = []
    while fetch._records.has_next():
        batch = fetch._records.next_batch()
        if not batch.validate_crc():
            raise CorruptRecordException(f"wrong checksum in {fetch._tp}")
        if not batch.is_control_batch:
            records = list(batch)
            # A fetch may begin amid a batch; compaction may leave a batch empty.
            if records and records[0].offset < fetch.next_fetch_offset:
                records = [r for r in records if r.offset >= fetch.next_fetch_offset]
            if records:
                found.append(records)
        fetch.next_fetch_offset = batch.next_offset
    result._update_position()
    return found
