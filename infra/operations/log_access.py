"""The log as operators reach it: no stack trace where no broker answers."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from infra.deployment import Deployment
from infra.keys.folder import KeyFolder
from infra.workers import WORKER_NAMES
from schemas.errors import PlayheadError
from streams.broker import Broker
from streams.clock import system_clock
from streams.producer import Publisher
from streams.topic import Topic
from streams.view import View

T = TypeVar("T")

POLL_MS: Final = 500
READ_RECORDS_MAX: Final = 5_000
SINK_GROUP: Final = "analytics.sink"
"""`agents.analytics.sink.GROUP`, without importing the agent; a test holds both together."""
CONSUMER_GROUPS: Final = (*(name for name in WORKER_NAMES if name != "analytics"), SINK_GROUP)


def reads(group: str, topic: Topic) -> bool:
    """Whether the group takes the topic, by the registry; the sink is the group of analytics."""
    return ("analytics" if group == SINK_GROUP else group) in topic.readers


class LogUnreachableError(PlayheadError):
    """No broker answers, or it refuses; the message says what to look at."""


@contextmanager
def saying_why(broker: Broker) -> Iterator[None]:
    """One clear line instead of the Kafka client's own errors and logs."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        yield
    except KafkaError as error:
        raise LogUnreachableError(
            f"no Kafka broker answers at {broker.bootstrap} as it should ({type(error).__name__})"
        ) from error


@asynccontextmanager
async def reading(
    broker: Broker, *, fetch_bytes_max: int = 1 << 20
) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer without a group; it moves nobody's offsets."""
    with saying_why(broker):
        consumer = AIOKafkaConsumer(
            **broker.client_options(),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=200,
            max_partition_fetch_bytes=fetch_bytes_max,
        )
        try:
            await consumer.start()
            yield consumer
        finally:
            await consumer.stop()


async def records_before(
    consumer: AIOKafkaConsumer, place: TopicPartition, end: int
) -> AsyncGenerator[Any, None]:
    """A partition from its beginning to before this offset. Raises KafkaError."""
    consumer.assign([place])
    await consumer.seek_to_beginning(place)
    while await consumer.position(place) < end:
        fetched = await consumer.getmany(timeout_ms=POLL_MS, max_records=READ_RECORDS_MAX)
        for raw in fetched.get(place, []):
            if raw.offset >= end:
                return
            yield raw


@asynccontextmanager
async def publishing(deployment: Deployment) -> AsyncIterator[Publisher]:
    """Writes as the operator who runs the command, authenticated topics too."""
    publisher = Publisher(
        deployment.broker(),
        client_id="playhead-operator",
        state_key=KeyFolder(deployment.keys).state_key(),
    )
    with saying_why(deployment.broker()):
        await publisher.start()
        try:
            yield publisher
        finally:
            await publisher.stop()


async def read_newest(deployment: Deployment, topic: Topic) -> dict[str, T]:
    """The newest value of every key of a topic, as of now; MACs are checked where it has them."""
    broker = deployment.broker()
    view: View[T] = View(
        broker,
        topic,
        clock=system_clock,
        state_key=KeyFolder(deployment.keys).state_key() if topic.is_authenticated else None,
    )
    with saying_why(broker):
        try:
            await view.start()
        finally:
            await view.stop()
    return dict(view.items())
