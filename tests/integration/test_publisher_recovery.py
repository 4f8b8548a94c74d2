"""A publisher goes on by itself after what aiokafka's producer does not recover from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from aiokafka import TopicPartition

from schemas.secrets import SecretBytes
from schemas.sessions import SessionControl
from streams.admin import apply_topics
from streams.broker import Broker
from streams.producer import Publisher, UnavailableError, partition_of
from streams.topics import PLAYBACK_EVENTS, SESSION_CONTROL

KEY = "session-1"


@pytest.fixture
async def publisher(broker: Broker) -> AsyncIterator[Publisher]:
    await apply_topics(broker, topics=[SESSION_CONTROL])
    publisher = Publisher(
        broker, client_id="test", state_key=SecretBytes(b"k" * 32), delivery_timeout_ms=10_000
    )
    await publisher.start()
    yield publisher
    await publisher.stop()


def a_control(at_ms: int) -> SessionControl:
    return SessionControl(session_id=KEY, is_refused=True, reason="test", at_ms=at_ms)


async def test_a_gap_in_a_partitions_numbers_costs_one_batch(
    broker: Broker, publisher: Publisher
) -> None:
    """As aiokafka leaves it when it gives a numbered batch up."""
    first = await publisher.publish(SESSION_CONTROL, KEY, a_control(1))
    producer = publisher._connection._producer
    assert producer is not None
    partition = partition_of(KEY, SESSION_CONTROL.partitions)
    where = TopicPartition(broker.physical(SESSION_CONTROL.name), partition)
    producer._txn_manager.increment_sequence_number(where, 5)
    with pytest.raises(UnavailableError, match="OutOfOrderSequenceNumber"):
        await publisher.publish(SESSION_CONTROL, KEY, a_control(2))
    third = await publisher.publish(SESSION_CONTROL, KEY, a_control(3))
    assert third.offset == first.offset + 1
    assert publisher._connection._producer is not producer


async def test_a_sender_that_died_is_replaced(publisher: Publisher) -> None:
    await publisher.publish(SESSION_CONTROL, KEY, a_control(1))
    producer = publisher._connection._producer
    assert producer is not None
    producer._sender._message_accumulator.drain_by_nodes = None  # its next turn raises
    publishing = asyncio.gather(
        *(publisher.publish(SESSION_CONTROL, f"session-{n}", a_control(n)) for n in range(20)),
        return_exceptions=True,
    )
    assert any(isinstance(outcome, UnavailableError) for outcome in await publishing)
    await publisher.publish(SESSION_CONTROL, KEY, a_control(3))


async def test_a_metadata_task_that_died_costs_one_try(
    broker: Broker, publisher: Publisher
) -> None:
    """Without it a producer never hears of a new leader, or of more partitions."""
    await apply_topics(broker, topics=[PLAYBACK_EVENTS])
    rows = [("session-1", b"{}")]
    await publisher.publish_many(PLAYBACK_EVENTS, rows)
    producer = publisher._connection._producer
    assert producer is not None
    producer.client._sync_task.cancel()
    async with asyncio.timeout(20):
        while publisher._connection._producer is producer:
            with suppress(UnavailableError):
                await publisher.publish_many(PLAYBACK_EVENTS, rows)
            await asyncio.sleep(0.2)
    await publisher.publish_many(PLAYBACK_EVENTS, rows)
