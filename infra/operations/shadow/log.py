"""Where a shadow's decisions go: `<topic>.shadow`, and nowhere else.

It holds no state key, so what it wrote into an authenticated topic would count as forged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic

from schemas import codec
from streams.administering import administering
from streams.broker import Broker
from streams.topic import Topic

SUFFIX: Final = ".shadow"
UNACKNOWLEDGED_MAX: Final = 1_000
RETENTION_MS: Final = 7 * 86_400_000


class ShadowLog:
    """One topic's shadow."""

    def __init__(self, broker: Broker, topic: Topic, *, replication: int) -> None:
        self._broker = broker
        self._topic = topic
        self._replication = replication
        self._producer: AIOKafkaProducer | None = None
        self._sent: list[asyncio.Future[object]] = []

    @property
    def topic_name(self) -> str:
        """Its name in the log, without the namespace."""
        return self._topic.name + SUFFIX

    async def start(self) -> None:
        """Make the topic where it is missing, and connect."""
        name = self._broker.physical(self.topic_name)
        async with administering(self._broker) as admin:
            if name not in await admin.list_topics():
                config = {"retention.ms": str(RETENTION_MS), "cleanup.policy": "delete"}
                new = NewTopic(
                    name, self._topic.partitions, self._replication, topic_configs=config
                )
                await admin.create_topics([new])
        self._producer = AIOKafkaProducer(
            **self._broker.client_options(), acks="all", enable_idempotence=True, linger_ms=20
        )
        await self._producer.start()

    async def stop(self) -> None:
        """Send what has gathered, then disconnect."""
        if self._producer is not None:
            await self._producer.stop()

    async def write(self, key: str, decision: msgspec.Struct, headers: Mapping[str, bytes]) -> None:
        """Queue one decision; `flush` says that all are acknowledged. Raises KafkaError."""
        assert self._producer is not None, "start() comes first"
        if len(self._sent) >= UNACKNOWLEDGED_MAX:
            await self.flush()
        sent = await self._producer.send(
            self._broker.physical(self.topic_name),
            key=key.encode(),
            value=codec.encode(decision),
            headers=list(headers.items()),
        )
        self._sent.append(sent)

    async def flush(self) -> None:
        """Return once everything is acknowledged. Raises KafkaError where something is not."""
        sent, self._sent = self._sent, []
        await asyncio.gather(*sent)
