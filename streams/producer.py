"""Writing to the log: acks=all, idempotent, one sender per partition, bounded in bytes.

One task per partition sends what has gathered as one batch, so that batches grow under load. What
comes alone is sent at once; rows that come right after others wait for company, 2 ms at most, and
go in one request for all partitions; so do single records where `gather_s` says so. (aiokafka's own
queue times out falsely when `send_batch` is called concurrently: every turn of its loop subtracts
the whole time since its start.)
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal

from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from schemas import codec
from schemas.errors import PlayheadError, RetryableError
from schemas.secrets import SecretBytes
from streams.authenticity import MAC_HEADER, record_mac
from streams.broker import Broker
from streams.clock import Clock, system_clock
from streams.connection import Connection, TopicClosedError
from streams.partitions import GROWING
from streams.topic import Topic

RECORD_OVERHEAD_BYTES = 96
SWEEP_S = 0.25
GATHER_S = 0.002
"""Least time between two sendings of rows that may wait: what a request costs is shared then."""


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
class _Delivery:
    """What one caller waits for: so many rows, one future."""

    outstanding: int
    done: asyncio.Future[None]
    due_s: float
    """On the loop's clock; not acknowledged by then, its outcome is unknown."""
    receipt: Receipt | None = None

    def settle(self, rows: int, receipt: Receipt) -> None:
        self.outstanding -= rows
        self.receipt = receipt
        if self.outstanding == 0 and not self.done.done():
            self.done.set_result(None)

    def fail(self, error: PlayheadError) -> None:
        if not self.done.done():
            self.done.set_exception(error)


@dataclass(slots=True)
class _Group:
    """Rows of one caller with one key: what is paid per POST is not paid per event."""

    key: bytes
    values: Sequence[bytes | None]
    headers: list[tuple[str, bytes]]
    delivery: _Delivery
    size_bytes: int
    taken: int = 0
    """Rows that are in batches already."""


_Sent = list[tuple[_Group, int]]
"""What a batch holds: so many rows of each group, in order."""


@dataclass(slots=True)
class _Lane:
    """One partition's groups and the task that sends them."""

    groups: deque[_Group] = field(default_factory=deque)
    awake: asyncio.Event = field(default_factory=asyncio.Event)
    sender: asyncio.Task[None] | None = None
    is_chained: bool = False
    is_broken: bool = False
    """Of a chained topic: a record may be missing, so none may follow."""


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
        gather_s: float = 0.0,
        clock: Clock = system_clock,
    ) -> None:
        """`gather_s`: least time between two sendings of single records; 0: each at once."""
        self._broker = broker
        self._state_key = state_key
        self._bytes_max = unacknowledged_bytes_max
        self._timeout_ms = delivery_timeout_ms
        self._gather_s = gather_s
        self._clock = clock
        self._lanes: dict[tuple[str, int], _Lane] = defaultdict(_Lane)
        self._awaited: deque[_Delivery] = deque()
        """In the order in which they are due."""
        self._sweep: asyncio.TimerHandle | None = None
        self._gathered: list[_Lane] = []
        self._gathering: asyncio.TimerHandle | None = None
        self._gathered_s = 0.0
        self._connection = Connection(
            broker, client_id=client_id, request_timeout_ms=delivery_timeout_ms
        )
        self.unacknowledged_bytes = 0
        self.last_acknowledged_at_ms = 0

    async def start(self) -> None:
        """Connect; raises UnavailableError where no broker answers."""
        try:
            await self._connection.start()
        except KafkaError as error:
            raise UnavailableError("not_stored", str(error)) from error

    async def stop(self) -> None:
        """Send what has gathered, then disconnect."""
        for timer in (self._sweep, self._gathering):
            if timer is not None:
                timer.cancel()
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
        told = self._with_mac(topic, key, data, headers or {})
        where = partition
        if where is None:
            where = partition_of(key, await self._partitions_of(topic))
        if topic.is_chained:
            self._lanes[(topic.name, where)].is_chained = True
        return await self.publish_raw(topic.name, key.encode(), data, told, where)

    async def publish_many(self, topic: Topic, rows: Sequence[tuple[str, bytes]]) -> None:
        """Write rows of (key, encoded value) in order; returns when every one is acknowledged."""
        if not rows:
            return
        partitions = await self._partitions_of(topic)
        self._require_room(sum(len(k) + len(v) + RECORD_OVERHEAD_BYTES for k, v in rows))
        delivery = self._await(len(rows))
        for key, same in groupby(rows, itemgetter(0)):
            values = [value for _, value in same]
            # Each record of an authenticated topic has a MAC of its own.
            for part in [[v] for v in values] if topic.is_authenticated else [values]:
                headers = list(self._with_mac(topic, key, part[0], {}).items())
                size = sum(map(len, part)) + len(part) * (len(key) + RECORD_OVERHEAD_BYTES)
                group = _Group(key.encode(), part, headers, delivery, size)
                lane = self._enqueue(topic.name, partition_of(key, partitions), group)
                self._gather(lane, GATHER_S)
        await delivery.done

    async def publish_raw(
        self,
        topic_name: str,
        key: bytes,
        value: bytes | None,
        headers: Mapping[str, bytes],
        partition: int,
    ) -> Receipt:
        """Write bytes as they are to a named partition: dead letters and their way back."""
        size = len(key) + len(value or b"") + RECORD_OVERHEAD_BYTES
        self._require_room(size)
        delivery = self._await(1)
        group = _Group(key, (value,), list(headers.items()), delivery, size)
        lane = self._enqueue(topic_name, partition, group)
        if self._gather_s:
            self._gather(lane, self._gather_s)
        else:
            lane.awake.set()
        await delivery.done
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

    async def _partitions_of(self, topic: Topic) -> int:
        """Nothing is awaited between this and the queueing: a count is used while it is true."""
        if topic not in GROWING:
            return topic.partitions
        try:
            return await self._connection.partitions_of(self._broker.physical(topic.name))
        except KafkaError as error:
            raise UnavailableError("not_stored", type(error).__name__) from error

    def _with_mac(
        self, topic: Topic, key: str, value: bytes | None, headers: Mapping[str, bytes]
    ) -> Mapping[str, bytes]:
        if not topic.is_authenticated:
            return headers
        assert self._state_key is not None, f"{topic.name} needs the state key"
        return {**headers, MAC_HEADER: record_mac(self._state_key, topic.name, key, value)}

    # -- waiting ------------------------------------------------------------------------------

    def _await(self, rows: int) -> _Delivery:
        """One timer for all that wait: a timer for each would cost as much as its POST."""
        loop = asyncio.get_running_loop()
        due_s = loop.time() + self._timeout_ms / 1000
        delivery = _Delivery(rows, loop.create_future(), due_s)
        self._awaited.append(delivery)
        if self._sweep is None:
            self._sweep = loop.call_later(SWEEP_S, self._give_up)
        return delivery

    def _give_up(self) -> None:
        loop = asyncio.get_running_loop()
        while self._awaited:
            first = self._awaited[0]
            if not first.done.done():
                if first.due_s > loop.time():
                    break
                # The rows may still be sent: their outcome is unknown to whoever waits here.
                first.fail(UnavailableError("unknown", "no acknowledgment in time"))
            self._awaited.popleft()
        self._sweep = loop.call_later(SWEEP_S, self._give_up) if self._awaited else None

    # -- sending ------------------------------------------------------------------------------

    def _require_room(self, size_bytes: int) -> None:
        if self.unacknowledged_bytes + size_bytes > self._bytes_max:
            raise UnavailableError("not_stored", "too many bytes await their acknowledgment")

    def _enqueue(self, topic_name: str, partition: int, group: _Group) -> _Lane:
        self.unacknowledged_bytes += group.size_bytes
        lane = self._lanes[(topic_name, partition)]
        lane.groups.append(group)
        if lane.is_broken:
            self._break(lane)
        if lane.sender is None:
            lane.sender = asyncio.create_task(self._send_for_ever(topic_name, partition, lane))
        return lane

    def _gather(self, lane: _Lane, gather_s: float) -> None:
        """Wake the lane with all others that have rows, not sooner than so long after the last."""
        self._gathered.append(lane)
        if self._gathering is None:
            loop = asyncio.get_running_loop()
            due_s = max(loop.time(), self._gathered_s + gather_s)
            self._gathering = loop.call_at(due_s, self._wake_gathered)

    def _wake_gathered(self) -> None:
        self._gathering = None
        self._gathered_s = asyncio.get_running_loop().time()
        for lane in self._gathered:
            lane.awake.set()
        self._gathered.clear()

    async def _send_for_ever(self, topic_name: str, partition: int, lane: _Lane) -> None:
        physical = self._broker.physical(topic_name)
        while True:
            await lane.awake.wait()
            lane.awake.clear()
            is_more = True
            while is_more:
                batch, sent = self._build_batch(lane)
                is_more = bool(lane.groups)  # what comes from now on wakes the lane by itself
                if sent and not await self._deliver(batch, physical, partition, sent):
                    self._break(lane)

    def _break(self, lane: _Lane) -> None:
        """A record may be missing: what waits to follow it is not stored, nor what comes later."""
        if not lane.is_chained:
            return
        lane.is_broken = True
        while lane.groups:
            group = lane.groups.popleft()
            group.delivery.fail(UnavailableError("not_stored", "one before it may be missing"))
            self._release(group)

    def _build_batch(self, lane: _Lane) -> tuple[Any, _Sent]:
        """As many rows as a batch holds, in order; those that nobody waits for are left out."""
        batch, groups = self._connection.create_batch(), lane.groups
        sent: _Sent = []
        while groups:
            group = groups[0]
            if group.delivery.done.done():  # given up: the caller was told
                self._release(groups.popleft())
                self._break(lane)
                continue
            first = group.taken
            for value in group.values[first:] if first else group.values:
                taken = batch.append(
                    timestamp=None, key=group.key, value=value, headers=group.headers
                )
                if taken is None:
                    break
                group.taken += 1
            if group.taken > first:
                sent.append((group, group.taken - first))
            elif not sent:
                group.delivery.fail(_too_large(group))
                continue
            if group.taken < len(group.values):
                break
            groups.popleft()
        batch.close()
        return batch, sent

    async def _deliver(self, batch: Any, physical: str, partition: int, sent: _Sent) -> bool:
        """Whether it is in the log, for sure."""
        try:
            offset = await self._connection.send(batch, physical, partition)
        except KafkaError as error:
            is_refused = isinstance(error, TopicClosedError)
            failure = UnavailableError(
                "not_stored" if is_refused else "unknown", type(error).__name__
            )
            for group, _ in sent:
                group.delivery.fail(failure)
            return False
        else:
            self.last_acknowledged_at_ms = self._clock()
            for group, rows in sent:
                offset += rows
                group.delivery.settle(rows, Receipt(partition, offset - 1))
            return True
        finally:
            for group, _ in sent:
                if group.taken == len(group.values):
                    self._release(group)

    def _release(self, group: _Group) -> None:
        self.unacknowledged_bytes -= group.size_bytes
        group.size_bytes = 0


def _too_large(group: _Group) -> UnavailableError:
    is_alone = group.delivery.outstanding == 1 and group.delivery.receipt is None
    return UnavailableError("not_stored" if is_alone else "unknown", "larger than a batch may be")
