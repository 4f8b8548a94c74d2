"""The idempotent producer below the publisher, replaced where it can no longer write.

aiokafka numbers a batch before it is sent. One that it then gives up (its partition had no leader
for too long) leaves a gap, and the broker refuses every later batch of that partition; a sender
that died refuses everything. Neither mends itself: only a new producer id does.
"""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import suppress
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaError,
    MessageSizeTooLargeError,
    NodeNotReadyError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    UnknownProducerId,
)

from streams.broker import Broker

BATCH_BYTES_MAX: Final = 512 * 1024
REQUEST_BYTES_MAX: Final = 4 << 20
STOP_TIMEOUT_S: Final = 5.0
COUNT_AGE_S: Final = 1.0
"""A count of partitions that is older is asked for anew, in the background while it may be used."""
COUNT_AGE_S_MAX: Final = 3.0
"""An older one is not used: a migration waits longer than this before it lets anybody write."""
CLOSED_S: Final = 0.5
"""Between attempts to write to a topic that takes nothing."""
_BEYOND_REPAIR: Final = (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    UnknownProducerId,
)

log = logging.getLogger(__name__)


class TopicClosedError(KafkaError):
    """A migration has closed the topic to writers; nothing was stored."""


class Connection:
    """Sends batches of at most BATCH_BYTES_MAX, acks=all."""

    def __init__(self, broker: Broker, *, client_id: str, request_timeout_ms: int) -> None:
        self._broker = broker
        self._client_id = client_id
        self._request_timeout_ms = request_timeout_ms
        self._producer: AIOKafkaProducer | None = None
        self._replacing = asyncio.Lock()
        self._retired: set[asyncio.Task[None]] = set()
        self._closed_until_s: dict[str, float] = {}
        self._counts: dict[str, tuple[int, float]] = {}
        """How many partitions a topic has, and when a broker told so, on the loop's clock."""

    async def start(self) -> None:
        """Connect; raises KafkaError where no broker answers."""
        self._producer = await self._open()

    async def stop(self) -> None:
        """Send what is under way, for STOP_TIMEOUT_S at most, and disconnect."""
        if self._producer is not None:
            await asyncio.gather(*self._retired, _close(self._producer))

    def create_batch(self) -> Any:
        """An empty batch."""
        assert self._producer is not None, "start() comes first"
        return self._producer.create_batch()

    async def send(self, batch: Any, topic: str, partition: int) -> int:
        """The offset of the batch's first record, once acks=all is given.

        Raises TopicClosedError, or another KafkaError: then it is unknown whether it is stored.
        """
        producer = self._producer
        assert producer is not None, "start() comes first"
        self._require_open(topic)
        try:
            future = await producer.send_batch(batch, topic, partition=partition)
            return int((await future).offset)
        except MessageSizeTooLargeError as error:
            # No batch is larger than a topic takes, unless it takes none. It was numbered already.
            self._closed_until_s[topic] = asyncio.get_running_loop().time() + CLOSED_S
            await self._replace(producer, error)
            raise TopicClosedError(topic) from error
        except KafkaError as error:
            # A sender that died answers with the bare class.
            if isinstance(error, _BEYOND_REPAIR) or type(error) is KafkaError:
                await self._replace(producer, error)
            raise

    async def partitions_of(self, topic: str) -> int:
        """How many partitions the topic has, as a broker told at most COUNT_AGE_S_MAX ago.

        Raises KafkaError where none tells, TopicClosedError where it took nothing a moment ago.
        """
        producer = self._producer
        assert producer is not None, "start() comes first"
        self._require_open(topic)
        count, age_s = self._told(topic)
        if age_s > COUNT_AGE_S:
            if producer.client._sync_task.done():  # noqa: SLF001 - then nobody tells anything any more
                await self._replace(producer, NodeNotReadyError("its metadata task has ended"))
                raise NodeNotReadyError("the producer was replaced")
            telling = producer.client.force_metadata_update()
            if age_s > COUNT_AGE_S_MAX:
                count = await self._be_told(producer, telling, topic)
        return count

    def _told(self, topic: str) -> tuple[int, float]:
        count, told_at_s = self._counts.get(topic, (0, -math.inf))
        return count, asyncio.get_running_loop().time() - told_at_s

    async def _be_told(
        self, producer: AIOKafkaProducer, telling: asyncio.Future[Any], topic: str
    ) -> int:
        """Raises KafkaError unless what is used next is fresh."""
        with suppress(TimeoutError):
            async with asyncio.timeout(COUNT_AGE_S_MAX):
                await telling
                await producer.partitions_for(topic)  # by name, where it was not among them
        count, age_s = self._told(topic)
        if age_s > COUNT_AGE_S_MAX:
            raise NodeNotReadyError(f"no broker tells how many partitions {topic} has")
        return count

    def _take_counts(self, cluster: Any) -> None:
        """Called by aiokafka with what a broker told. A topic never has fewer than it had."""
        now_s = asyncio.get_running_loop().time()
        for topic in cluster.topics():
            count = len(cluster.partitions_for_topic(topic) or ())
            self._counts[topic] = (max(count, self._counts.get(topic, (0, 0.0))[0]), now_s)

    def _require_open(self, topic: str) -> None:
        if asyncio.get_running_loop().time() < self._closed_until_s.get(topic, 0.0):
            raise TopicClosedError(topic)

    async def ask_metadata(self) -> None:
        """Raises KafkaError where no broker answers, or before the start."""
        if self._producer is None:
            raise ProducerClosed
        await self._producer.client.fetch_all_metadata()

    async def _replace(self, broken: AIOKafkaProducer, error: KafkaError) -> None:
        """Once per broken producer; where no broker answers the next failure tries again."""
        async with self._replacing:
            if self._producer is not broken:
                return
            try:
                self._producer = await self._open()
            except KafkaError as away:
                log.warning("the producer is not replaced yet: %s", away)
                return
            log.warning("the producer was replaced: %r", error)
            # The other partitions' batches that it still has under way may come to their end.
            closing = asyncio.create_task(_close(broken))
            self._retired.add(closing)
            closing.add_done_callback(self._retired.discard)

    async def _open(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self._broker.client_options(),
            client_id=self._client_id,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            max_batch_size=BATCH_BYTES_MAX,
            max_request_size=REQUEST_BYTES_MAX,
            request_timeout_ms=self._request_timeout_ms,
            retry_backoff_ms=100,
            metadata_max_age_ms=60_000,
        )
        try:
            await producer.start()
        except KafkaError:
            await producer.stop()
            raise
        producer.client.cluster.add_listener(self._take_counts)
        return producer


async def _close(producer: AIOKafkaProducer) -> None:
    """An idempotent batch is never given up: without a bound this would wait for the broker."""
    with suppress(TimeoutError, KafkaError):
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await producer.stop()
