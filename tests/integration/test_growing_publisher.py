"""A publisher whose topic is closed, given more partitions, and opened."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.admin import apply_topics
from streams.broker import Broker
from streams.connection import COUNT_AGE_S, COUNT_AGE_S_MAX
from streams.partitions import (
    CLOSED_BYTES,
    CLOSING_SETTING,
    GROWING,
    closed_topics,
    count_partitions,
)
from streams.producer import Publisher, UnavailableError, partition_of
from streams.topics import PLAYBACK_EVENTS

GROWN = 16
KEY = next(
    key
    for key in (f"session-{number}" for number in range(100))
    if partition_of(key, GROWN) >= PLAYBACK_EVENTS.partitions
)
"""One whose place is another one then."""


@pytest.fixture
async def admin(broker: Broker) -> AsyncIterator[AIOKafkaAdminClient]:
    await apply_topics(broker, topics=GROWING)
    admin = AIOKafkaAdminClient(**broker.client_options())
    await admin.start()
    yield admin
    await admin.close()


@asynccontextmanager
async def a_publisher(broker: Broker) -> AsyncIterator[Publisher]:
    publisher = Publisher(broker, client_id="test")
    await publisher.start()
    try:
        yield publisher
    finally:
        await publisher.stop()


async def place(publisher: Publisher) -> int:
    return (await publisher.publish(PLAYBACK_EVENTS, KEY, b"{}")).partition


async def test_no_publisher_uses_the_count_of_before_once_a_migration_opens(
    broker: Broker, admin: AIOKafkaAdminClient
) -> None:
    before, after = partition_of(KEY, PLAYBACK_EVENTS.partitions), partition_of(KEY, GROWN)
    async with a_publisher(broker) as busy, a_publisher(broker) as idle:
        assert (await place(busy), await place(idle)) == (before, before)
        physical = broker.physical(PLAYBACK_EVENTS.name)
        await admin.create_partitions({physical: NewPartitions(GROWN)})
        grown_s = time.monotonic()
        while await place(busy) == before:
            assert time.monotonic() - grown_s < COUNT_AGE_S + 1
            await asyncio.sleep(0.05)
        assert await count_partitions(broker, PLAYBACK_EVENTS) == GROWN
        await asyncio.sleep(max(0.0, grown_s + COUNT_AGE_S_MAX - time.monotonic()))
        assert await place(idle) == after


async def test_a_closed_topic_takes_nothing_and_then_everything(
    broker: Broker, admin: AIOKafkaAdminClient
) -> None:
    physical = broker.physical(PLAYBACK_EVENTS.name)
    async with a_publisher(broker) as publisher:
        first = await publisher.publish(PLAYBACK_EVENTS, KEY, b"{}")
        closing = ConfigResource(
            ConfigResourceType.TOPIC, physical, {CLOSING_SETTING: CLOSED_BYTES}
        )
        await admin.alter_configs([closing])
        async with asyncio.timeout(5):
            while not await closed_topics(admin, [physical]):  # noqa: ASYNC110 - the broker's own
                await asyncio.sleep(0.05)
        await apply_topics(broker, topics=GROWING)  # opens nothing
        for _ in range(3):
            with pytest.raises(UnavailableError, match="TopicClosedError") as refused:
                await publisher.publish_many(PLAYBACK_EVENTS, [(KEY, b"{}")])
            assert refused.value.outcome == "not_stored"
        opening = ConfigResource(ConfigResourceType.TOPIC, physical, {CLOSING_SETTING: "4194304"})
        await admin.alter_configs([opening])
        async with asyncio.timeout(5):
            while (offset := await _try(publisher)) is None:  # noqa: ASYNC110 - a client's pause
                await asyncio.sleep(0.05)
    assert offset == first.offset + 1


async def _try(publisher: Publisher) -> int | None:
    try:
        return (await publisher.publish(PLAYBACK_EVENTS, KEY, b"{}")).offset
    except UnavailableError:
        return None
