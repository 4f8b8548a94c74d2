"""The embedded broker: ready, killed, restarted, with everything it has acknowledged."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from infra.kafka.readiness import is_ready, wait_ready
from tests.integration.broker import Broker, running_kafka

RECORD_COUNT = 200


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    with running_kafka(tmp_path) as running:
        yield running


async def make_topic(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def produce(bootstrap: str, topic: str, values: range) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        await asyncio.gather(
            *[await producer.send(topic, str(value).encode(), partition=0) for value in values]
        )
    finally:
        await producer.stop()


async def consume(bootstrap: str, topic: str, count: int) -> list[int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        values: list[int] = []
        async with asyncio.timeout(20):
            while len(values) < count:
                values.append(int((await consumer.getone()).value))
        return values
    finally:
        await consumer.stop()


async def test_everything_acknowledged_is_there_after_kill_9_and_restart(
    own_broker: Broker,
) -> None:
    await make_topic(own_broker.bootstrap, "acknowledged")
    await produce(own_broker.bootstrap, "acknowledged", range(RECORD_COUNT))
    own_broker.kill()
    assert not await is_ready(own_broker.bootstrap)
    await own_broker.start()
    assert await consume(own_broker.bootstrap, "acknowledged", RECORD_COUNT) == list(
        range(RECORD_COUNT)
    )


async def test_waiting_for_a_broker_that_never_comes_ends_in_time(own_broker: Broker) -> None:
    own_broker.stop()
    with pytest.raises(TimeoutError):
        await wait_ready(own_broker.bootstrap, timeout_s=0.3)
