"""Records that no agent can read, written straight into the topics of events."""

from __future__ import annotations

import random
from typing import Final

from aiokafka import AIOKafkaProducer

from streams.broker import Broker
from streams.topics import PLAYBACK_BANDWIDTH, PLAYBACK_EVENTS

RECORDS: Final = (5, 20)
VALUES: Final = (
    b"",
    b"{",
    b"null",
    b"[1, 2]",
    b"\xff\xfe\x00not text",
    b'{"type": "heartbeat"}',
    b'{"type": "heartbeat", "session_id": 7, "sequence": "x", "at": "yesterday"}',
    b'{"type": "heartbeat", "session_id": "no-uuid", "sequence": 1}',
    b"{" * 5000,
)


async def publish_poison(broker: Broker, seed: int) -> int:
    """Returns how many were acknowledged. Raises KafkaError."""
    chance = random.Random(seed)  # noqa: S311 - to be repeated
    producer = AIOKafkaProducer(**broker.client_options(), acks="all", enable_idempotence=True)
    await producer.start()
    try:
        count = chance.randint(*RECORDS)
        for _ in range(count):
            topic = chance.choice((PLAYBACK_EVENTS, PLAYBACK_BANDWIDTH))
            await producer.send_and_wait(
                broker.physical(topic.name),
                chance.choice(VALUES),
                key=b"poison",
                partition=chance.randrange(topic.partitions),
            )
        return count
    finally:
        await producer.stop()
