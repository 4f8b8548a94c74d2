"""The thread that fetches: aiokafka, with light records and fetch settings opened up."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import FetchResult
from faust.transport.drivers import aiokafka as driver

from streams.records import FetchedRecord


class ChunkThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread."""

    def __init__(self, consumer: Any, *, loop: asyncio.AbstractEventLoop, **kwargs: Any) -> None:
        """`loop`: the process's; the thread's own is of the same kind."""
        super().__init__(consumer, loop=loop, thread_loop=type(loop)(), **kwargs)
        self._close_thread_loop_on_stop = True

    async def on_start(self) -> None:
        """Start aiokafka's consumer, then replace what it has no option for."""
        await super().on_start()
        self.let_gather(False)
        fetcher = self._ensure_consumer()._fetcher
        fetcher._records = _LightResults(fetcher._records)

    def let_gather(self, is_busy: bool) -> None:
        """How long the broker holds the next fetch; may be called from any thread."""
        settings = self.transport.settings
        fetcher = self._ensure_consumer()._fetcher
        fetcher._fetch_max_wait_ms = settings.gather_ms_max if is_busy else settings.wait_ms_max
        fetcher._fetch_min_bytes = settings.gathered_bytes_min if is_busy else 1


class _LightResults(OrderedDict[TopicPartition, Any]):
    """What was fetched and not read yet: each result makes light records once it is read."""

    def __setitem__(self, partition: TopicPartition, result: Any) -> None:
        if isinstance(result, FetchResult):
            result._partition_records._consumer_record = _fetched_record
        super().__setitem__(partition, result)


def _fetched_record(partition: TopicPartition, record: Any) -> FetchedRecord:
    return FetchedRecord(
        partition.partition,
        record.offset,
        record.timestamp,
        record.key,
        record.value,
        record.headers,
    )
