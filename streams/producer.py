"""Writing to the log: acks=all, idempotent, one sender per partition, bounded in bytes.

One task per partition sends what has gathered as one batch: batches grow under load, and
nothing waits on a timer. (aiokafka's own queue times out falsely when `send_batch` is called
concurrently: every turn of its loop subtracts the whole time since its start.)
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from schemas import codec
from schemas.errors import PlayheadError, RetryableError
from schemas.secrets import SecretBytes
from streams.authenticity import MAC_HEADER, record_mac
from streams.broker import Broker
from streams.clock import Clock, system_clock
from streams.connection import Connection
from streams.topics import Topic

BATCH_BYTES_MAX = 512 * 1024
RECORD_OVERHEAD_BYTES = 96


class UnavailableError(RetryableError):
    """The log did not take it: `not_stored` for sure, or `unknown`."""

    def __init__(self, outcome: Literal["not_stored", "unknown"], detail: str) -> None:
        super().__init__(f"the log is unavailable ({outcome}): {detail}")
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where an acknowledged record lies."""

    partition: int
    offset: int


@dataclass(slots=True)
class _Row:
    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes]]
    delivery: _Delivery
    size_bytes: int


@dataclass(slots=True)
class _Delivery:
    """What one caller waits for: so many rows, one future."""

    outstanding: int
    done: asyncio.Future[None]
    receipt: Receipt | None = None

    def settle(self, receipt: Receipt) -> None:
        self.outstanding -= 1
        self.receipt = receipt
        if self.outstanding == 0 and not self.done.done():
            self.done.set_result(None)

    def fail(self, error: PlayheadError) -> None:
        if not self.done.done():
            self.done.set_exception(error)


@dataclass(slots=True)
class _Lane:
    """One partition's rows and the task that sends them."""

    rows: deque[_Row] = field(default_factory=deque)
    awake: asyncio.Event = field(default_factory=asyncio.Event)
    sender: asyncio.Task[None] | None = None


@lru_cache(maxsize=65_536)
def partition_of(key: str, partitions: int) -> int:
    """The partition of a key, as Kafka's default partitioner chooses it.

    Remembered, because the hash is computed in Python: 20 µs for a session id.
    """
    return int(murmur2(key.encode()) & 0x7FFFFFFF) % partitions


class Publisher:
    """The one way to write to the log."""

    def __init__(
        self,
        broker: Broker,
        *,
        client_id: str,
        state_key: SecretBytes | None = None,
        unacknowledged_bytes_max: int = 64 << 20,
        delivery_timeout_ms: int = 10_000,
        clock: Clock = system_clock,
    ) -> None:
        self._broker = broker
        self._client_id = client_id
        self._state_key = state_key
        self._bytes_max = unacknowledged_bytes_max
        self._timeout_ms = delivery_timeout_ms
        self._clock = clock
        self._lanes: dict[tuple[str, int], _Lane] = defaultdict(_Lane)
        self._connection = Connection(self._make_producer)
        self.unacknowledged_bytes = 0
        self.last_acknowledged_at_ms = 0

    async def start(self) -> None:
        """Connect; raises UnavailableError where no broker answers."""
        try:
            await self._connection.start()
        except KafkaError as error:
            raise UnavailableError("not_stored", str(error)) from error

    def _make_producer(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            **self._broker.client_options(),
            client_id=self._client_id,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            max_batch_size=BATCH_BYTES_MAX,
            max_request_size=4 << 20,
            request_timeout_ms=self._timeout_ms,
            retry_backoff_ms=100,
            metadata_max_age_ms=60_000,
        )

    async def stop(self) -> None:
        """Send what has gathered, then disconnect."""
        for lane in self._lanes.values():
            if lane.sender is not None:
                lane.sender.cancel()
                with suppress(asyncio.CancelledError):
                    await lane.sender
        await self._connection.stop()

    async def publish(
        self,
        topic: Topic,
        key: str,
        value: Any,
        *,
        headers: Mapping[str, bytes] | None = None,
        partition: int | None = None,
    ) -> Receipt:
        """Write one record (a message, bytes, or None for a tombstone) and wait for acks=all."""
        data = value if value is None or isinstance(value, bytes) else codec.encode(value)
        delivery = _Delivery(1, asyncio.get_running_loop().create_future())
        self._enqueue(topic, key, data, headers or {}, partition, delivery)
        await self._wait(delivery)
        assert delivery.receipt is not None
        return delivery.receipt

    async def publish_many(self, topic: Topic, rows: Sequence[tuple[str, bytes]]) -> None:
        """Write rows of (key, encoded value); returns when every one is acknowledged."""
        if not rows:
            return
        delivery = _Delivery(len(rows), asyncio.get_running_loop().create_future())
        try:
            for key, value in rows:
                self._enqueue(topic, key, value, {}, None, delivery)
        except UnavailableError:
            delivery.done.cancel()  # none was sent yet, and none will be: `not_stored` holds
            raise
        await self._wait(delivery)

    async def publish_raw(
        self,
        topic_name: str,
        key: bytes,
        value: bytes | None,
        headers: Mapping[str, bytes],
        partition: int,
    ) -> Receipt:
        """Write bytes as they are to a named partition: dead letters and their way back."""
        delivery = _Delivery(1, asyncio.get_running_loop().create_future())
        self._enqueue_row(topic_name, partition, key, value, list(headers.items()), delivery)
        await self._wait(delivery)
        assert delivery.receipt is not None
        return delivery.receipt

    async def is_reachable(self, *, timeout_ms: int = 1_000) -> bool:
        """Whether a broker answers now."""
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await self._connection.ask_metadata()
        except (KafkaError, TimeoutError):
            return False
        return True

    async def _wait(self, delivery: _Delivery) -> None:
        try:
            async with asyncio.timeout(self._timeout_ms / 1000):
                await asyncio.shield(delivery.done)
        except TimeoutError as error:
            # The rows may still be sent: their outcome is unknown to whoever waits here.
            delivery.done.cancel()
            raise UnavailableError("unknown", "no acknowledgment in time") from error

    def _enqueue(
        self,
        topic: Topic,
        key: str,
        value: bytes | None,
        headers: Mapping[str, bytes],
        partition: int | None,
        delivery: _Delivery,
    ) -> None:
        pairs = list(headers.items())
        if topic.is_authenticated:
            assert self._state_key is not None, f"{topic.name} needs the state key"
            pairs.append((MAC_HEADER, record_mac(self._state_key, topic.name, key, value)))
        where = partition_of(key, topic.partitions) if partition is None else partition
        self._enqueue_row(topic.name, where, key.encode(), value, pairs, delivery)

    def _enqueue_row(
        self,
        topic_name: str,
        partition: int,
        key: bytes,
        value: bytes | None,
        headers: list[tuple[str, bytes]],
        delivery: _Delivery,
    ) -> None:
        size = len(key) + len(value or b"") + RECORD_OVERHEAD_BYTES
        if self.unacknowledged_bytes + size > self._bytes_max:
            raise UnavailableError("not_stored", "too many bytes await their acknowledgment")
        self.unacknowledged_bytes += size
        lane = self._lanes[(topic_name, partition)]
        lane.rows.append(_Row(key, value, headers, delivery, size))
        lane.awake.set()
        if lane.sender is None:
            lane.sender = asyncio.create_task(self._send_for_ever(topic_name, partition, lane))

    async def _send_for_ever(self, topic_name: str, partition: int, lane: _Lane) -> None:
        physical = self._broker.physical(topic_name)
        while True:
            await lane.awake.wait()
            lane.awake.clear()
            while lane.rows:
                await self._send_batch(physical, partition, lane)

    async def _send_batch(self, physical: str, partition: int, lane: _Lane) -> None:
        builder = self._connection.create_batch()
        sent: list[_Row] = []
        while lane.rows:
            row = lane.rows[0]
            if row.delivery.done.done():  # given up: the caller was told, it is not sent any more
                self._drop(lane.rows.popleft())
                continue
            appended = builder.append(
                timestamp=None, key=row.key, value=row.value, headers=row.headers
            )
            if appended is None:
                break
            sent.append(lane.rows.popleft())
        if not sent:
            if lane.rows:
                row = lane.rows.popleft()
                row.delivery.fail(UnavailableError("not_stored", "larger than a batch may be"))
                self._drop(row)
            return
        builder.close()
        await self._deliver(builder, physical, partition, sent)

    async def _deliver(self, builder: Any, physical: str, partition: int, sent: list[_Row]) -> None:
        try:
            first_offset = await self._connection.send(builder, physical, partition)
        except KafkaError as error:
            failure = UnavailableError("unknown", type(error).__name__)
            for row in sent:
                row.delivery.fail(failure)
        else:
            self.last_acknowledged_at_ms = self._clock()
            for index, row in enumerate(sent):
                row.delivery.settle(Receipt(partition, first_offset + index))
        finally:
            for row in sent:
                self._drop(row)

    def _drop(self, row: _Row) -> None:
        self.unacknowledged_bytes -= row.size_bytes
