"""A gateway on a real broker, in the test's loop, with a license desk that the test runs."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.serve import Listening
from gateway.views import FollowedTopics
from schemas import codec
from schemas.envelope import Enrollment
from schemas.secrets import SecretBytes
from streams.admin import apply_topics
from streams.broker import Broker
from streams.clock import system_clock
from streams.identity import Directory, Identity, enroll, load_or_create_identity
from streams.producer import Publisher, UnavailableError
from streams.requests import Asker
from streams.topic import Topic
from streams.topics import SIGNING_KEYS, TOPICS
from streams.view import View
from tests.gateway_fakes import MemoryClock, World

STATE_KEY = SecretBytes(b"k" * 32)
USED_TOPICS = [topic for topic in TOPICS if "gateway" in {topic.writer, *topic.readers}] + [
    topic for topic in TOPICS if topic.name == "gateway.replies.v1"
]


@dataclass
class RunningGateway:
    """A client whose base URL is the gateway, and what stands behind it."""

    client: aiohttp.ClientSession
    listening: Listening
    publisher: Publisher
    directory: Directory
    license: Identity
    world: World


class SystemClock(MemoryClock):
    def __call__(self) -> int:
        return system_clock()


@asynccontextmanager
async def gateway_on(
    broker: Broker, folder: Path, *, delivery_timeout_ms: int = 3_000
) -> AsyncIterator[RunningGateway]:
    """Tokens of `world` count at it; its asker takes answers of the `license` identity."""
    await apply_topics(broker, topics={topic.name: topic for topic in USED_TOPICS}.values())
    world = World(clock=SystemClock())
    publisher = Publisher(
        broker,
        client_id="gateway",
        state_key=STATE_KEY,
        delivery_timeout_ms=delivery_timeout_ms,
    )
    await publisher.start()
    identities = [load_or_create_identity(folder / role, role) for role in ("gateway", "license")]
    directory_view, directory = await _directory(broker, publisher, identities)
    asker = Asker(broker, publisher, identities[0], directory, clock=system_clock)
    followed = FollowedTopics(broker, clock=system_clock)
    await asker.start()
    await followed.start()
    ports = dataclasses.replace(
        world.ports(), publisher=publisher, asker=asker, views=followed.views
    )
    listening = Listening(ports)
    announced = await listening.start()
    timeout = aiohttp.ClientTimeout(total=30)
    try:
        async with aiohttp.ClientSession(announced.url, timeout=timeout) as client:
            yield RunningGateway(client, listening, publisher, directory, identities[1], world)
    finally:
        await listening.stop()
        for part in (followed, asker, publisher, directory_view):
            await part.stop()


async def _directory(
    broker: Broker, publisher: Publisher, identities: Iterable[Identity]
) -> tuple[View[Enrollment], Directory]:
    root = Ed25519PrivateKey.generate()
    for identity in identities:
        enrollment = enroll(root, identity, system_clock())
        await _publish_once_led(publisher, identity.key_id, enrollment)
    view: View[Enrollment] = View(broker, SIGNING_KEYS, clock=system_clock)
    await view.start()
    return view, Directory(view, root.public_key(), clock=system_clock)


async def _publish_once_led(publisher: Publisher, key_id: str, enrollment: Enrollment) -> None:
    """Topics that were made a moment ago have no leader yet."""
    for _ in range(10):
        try:
            await publisher.publish(SIGNING_KEYS, key_id, enrollment)
        except UnavailableError:
            continue
        return
    raise AssertionError("the broker takes no records")


async def stored_values(broker: Broker, topic: Topic) -> list[Any]:
    """Every value of the topic as the log has it now."""
    consumer = AIOKafkaConsumer(
        **broker.client_options(), group_id=None, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        name = broker.physical(topic.name)
        partitions = [TopicPartition(name, number) for number in range(topic.partitions)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        decoder: codec.Decoder[Any] = codec.Decoder(topic.value)
        values: list[Any] = []
        for partition, end in ends.items():
            while await consumer.position(partition) < end:
                fetched = await consumer.getmany(partition, timeout_ms=500)
                values += [decoder.decode(r.value) for rows in fetched.values() for r in rows]
        return values
    finally:
        await consumer.stop()


def session_bearer(world: World) -> tuple[str, dict[str, str]]:
    """A session's id and the header of its token."""
    claims = world.session_claims()
    return claims.sid, {"Authorization": f"Bearer {world.session_token(claims)}"}


def body_of(*events: dict[str, Any]) -> bytes:
    """NDJSON."""
    return b"\n".join(msgspec.json.encode(event) for event in events)
