"""The idempotent producer below the publisher, replaced where it can no longer write.

aiokafka numbers a batch before it is sent. One that it then gives up (its partition had no leader
for too long) leaves a gap, and the broker refuses every later batch of that partition; a sender
that died refuses everything. Neither mends itself: only a new producer id does.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    UnknownProducerId,
)

from streams.broker import Broker

BATCH_BYTES_MAX: Final = 512 * 1024
REQUEST_BYTES_MAX: Final = 4 << 20
STOP_TIMEOUT_S: Final = 5.0
_BEYOND_REPAIR: Final = (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    UnknownProducerId,
)

log = logging.getLogger(__name__)


class Connection:
    """Sends batches of at most BATCH_BYTES_MAX, acks=all."""

    def __init__(self, broker: Broker, *, client_id: str, request_timeout_ms: int) -> None:
        self._broker = broker
        self._client_id = client_id
        self._request_timeout_ms = request_timeout_ms
        self._producer: AIOKafkaProducer | None = None
        self._replacing = asyncio.Lock()
        self._retired: set[asyncio.Task[None]] = set()

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

        Raises KafkaError: it is unknown then whether the batch is stored.
        """
        producer = self._producer
        assert producer is not None, "start() comes first"
        try:
            future = await producer.send_batch(batch, topic, partition=partition)
            return int((await future).offset)
        except KafkaError as error:
            # A sender that died answers with the bare class.
            if isinstance(error, _BEYOND_REPAIR) or type(error) is KafkaError:
                await self._replace(producer, error)
            raise

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
        return producer


async def _close(producer: AIOKafkaProducer) -> None:
    """An idempotent batch is never given up: without a bound this would wait for the broker."""
    with suppress(TimeoutError, KafkaError):
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await producer.stop()
