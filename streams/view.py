"""A bounded view of a topic: followed without a group, over all its partitions, from its start.

Used by gateways and agents alike, instead of Faust's GlobalTable (which can loop in recovery
with several instances).
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, ItemsView
from contextlib import suppress
from typing import Any, Generic, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.errors import InvalidMessageError
from schemas.secrets import SecretBytes
from streams.broker import RETRY_BACKOFF_MS, Broker
from streams.clock import Clock, steady_clock
from streams.reader import RecordReader
from streams.records import Record
from streams.topic import Topic

T = TypeVar("T")
log = logging.getLogger(__name__)

POLL_MS = 500
READ_RECORDS_MAX = 5_000
SLICE_RECORDS_MAX = 32
SLICE_PAUSE_S = 0.002
"""Some 2 ms of work, then as long for others."""
LAGGING_BYTES_MIN = 256 << 10


class View(Generic[T]):
    """The newest value of each key of a topic.

    `keep=False` only calls `on_record`; `entries_max` forgets the least recently changed keys.
    What cannot be read is skipped and counted in `skipped`: a view never stops at one record.
    """

    def __init__(
        self,
        broker: Broker,
        topic: Topic,
        *,
        clock: Clock,
        state_key: SecretBytes | None = None,
        on_record: Callable[[Record[T | None]], None] | None = None,
        keep: bool = True,
        from_end: bool = False,
        entries_max: int | None = None,
        may_lag: bool = False,
        gives_way: bool = False,
        steady: Clock = steady_clock,
    ) -> None:
        """`may_lag`: half a second late is soon enough, and each record need not cost a fetch.

        `gives_way`: it is read in slices, so that what answers meanwhile is not held up. `steady`
        measures the view's age: a clock that is set back must not make it fresh.
        """
        self._broker = broker
        self._topic = topic
        self._clock = clock
        self._steady = steady
        self._reader = RecordReader(topic, state_key=state_key)
        self._on_record = on_record
        self._keep = keep
        self._from_end = from_end
        self._entries_max = entries_max
        self._fetch_bytes_min = LAGGING_BYTES_MIN if may_lag else 1
        self._gives_way = gives_way
        self._entries: OrderedDict[str, T] = OrderedDict()
        self._changed = asyncio.Condition()
        self._consumer: AIOKafkaConsumer | None = None
        self._follower: asyncio.Task[None] | None = None
        self._seen_end_at_ms = 0
        """By the steady clock."""
        self.skipped = 0

    async def start(self) -> None:
        """Read what is there, then go on in the background; returns when read to that end."""
        self._consumer = AIOKafkaConsumer(
            **self._broker.client_options(),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=POLL_MS,
            fetch_min_bytes=self._fetch_bytes_min,
            retry_backoff_ms=RETRY_BACKOFF_MS,
            max_partition_fetch_bytes=4 << 20,
            isolation_level="read_uncommitted",
        )
        await self._consumer.start()
        physical = self._broker.physical(self._topic.name)
        partitions = [TopicPartition(physical, i) for i in range(self._topic.partitions)]
        self._consumer.assign(partitions)
        ends = await self._consumer.end_offsets(partitions)
        if self._from_end:
            await self._consumer.seek_to_end(*partitions)
        else:
            await self._consumer.seek_to_beginning(*partitions)
            while not await self._has_reached(ends):
                await self._read_once()
        self._seen_end_at_ms = self._steady()
        self._follower = asyncio.create_task(
            self._follow(partitions), name=f"view {self._topic.name}"
        )

    async def stop(self) -> None:
        """Disconnect; what was read stays readable."""
        if self._follower is not None:
            self._follower.cancel()
            with suppress(asyncio.CancelledError):
                await self._follower
        if self._consumer is not None:
            await self._consumer.stop()

    def get(self, key: str) -> T | None:
        """The newest value of the key."""
        return self._entries.get(key)

    def items(self) -> ItemsView[str, T]:
        """Every key and its newest value, least recently changed first."""
        return self._entries.items()

    def __len__(self) -> int:
        return len(self._entries)

    def age_ms(self) -> int:
        """How long ago the position was last seen at the topic's end."""
        return self._steady() - self._seen_end_at_ms

    async def wait_until(self, condition: Callable[[], bool], timeout_ms: int) -> bool:
        """Whether the condition came true in time; looked at again after every change."""
        if condition():
            return True
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_ms / 1000), self._changed:
                await self._changed.wait_for(condition)
        return condition()

    async def reach_end(self, partition: int) -> int:
        """Read to where the partition ends now; that offset. Raises KafkaError."""
        assert self._consumer is not None, "start() first"
        place = TopicPartition(self._broker.physical(self._topic.name), partition)
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets([place])
        async with self._changed:
            while not await self._has_reached(ends):
                await self._changed.wait()
        return ends[place]

    async def _has_reached(self, ends: dict[TopicPartition, int]) -> bool:
        assert self._consumer is not None
        for partition, end in ends.items():
            if await self._consumer.position(partition) < end:
                return False
        return True

    async def _follow(self, partitions: list[TopicPartition]) -> None:
        while True:
            try:
                await self._read_once()
                await self._note_end(partitions)
            except KafkaError as error:
                log.warning("view %s waits for the broker: %s", self._topic.name, error)
                await asyncio.sleep(POLL_MS / 1000)

    async def _note_end(self, partitions: list[TopicPartition]) -> None:
        """The view is as fresh as its least recently fetched partition, once read to the end."""
        assert self._consumer is not None
        now_ms, age_ms = self._clock(), 0
        for partition in partitions:
            polled_ms = self._consumer.last_poll_timestamp(partition)
            end = self._consumer.highwater(partition)
            if polled_ms is None or end is None or await self._consumer.position(partition) < end:
                return
            age_ms = max(age_ms, now_ms - polled_ms)
        self._seen_end_at_ms = max(self._seen_end_at_ms, self._steady() - age_ms)

    async def _read_once(self) -> None:
        assert self._consumer is not None
        count_max = SLICE_RECORDS_MAX if self._gives_way else READ_RECORDS_MAX
        fetched = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=count_max)
        if not fetched:
            return
        if self._gives_way:
            await asyncio.sleep(SLICE_PAUSE_S)
        for records in fetched.values():
            for raw in records:
                self._apply(raw)
        async with self._changed:
            self._changed.notify_all()

    def _apply(self, raw: Any) -> None:
        try:
            record = self._reader.read(raw)
        except InvalidMessageError as error:
            self.skipped += 1
            log.warning(
                "view %s skipped partition %d offset %d: %s",
                self._topic.name,
                raw.partition,
                raw.offset,
                error,
            )
            return
        if self._keep:
            self._store(record)
        if self._on_record is not None:
            self._on_record(record)

    def _store(self, record: Record[T | None]) -> None:
        self._entries.pop(record.key, None)
        if record.value is None:
            return
        self._entries[record.key] = record.value
        if self._entries_max is not None and len(self._entries) > self._entries_max:
            self._entries.popitem(last=False)
