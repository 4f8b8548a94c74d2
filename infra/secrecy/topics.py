"""Every record of every topic, as a consumer gets it: decompressed, key, value and headers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from infra.faults.secrecy import Needle
from infra.operations.log_access import reading, saying_why
from streams.administering import administering
from streams.broker import Broker
from streams.partitions import partition_counts

POLL_MS: Final = 500
FETCH_BYTES_MAX: Final = 1 << 20
"""Of one partition; a record of any size is fetched all the same."""


async def found_in_topics(
    broker: Broker, needles: Iterable[Needle], *, only: Collection[str] = ()
) -> dict[str, set[str]]:
    """By topic what stands in its records, as of now; topics of the broker itself included.

    `only`: topics of the registry, where not all are meant. Of several deployments that share a
    broker only this one's topics are read. Raises LogUnreachableError.
    """
    wanted, found = list(needles), dict[str, set[str]]()
    with saying_why(broker):
        partitions = await partitions_of(broker)
        topics = {broker.physical(name) for name in only} or partitions.keys()
        places = [place for topic in partitions.keys() & topics for place in partitions[topic]]
        async with reading(broker, fetch_bytes_max=FETCH_BYTES_MAX) as consumer:
            async for raw in _records_of(consumer, places):
                content = record_bytes(raw)
                names = {needle.name for needle in wanted if needle.data in content}
                if names:
                    found.setdefault(raw.topic, set()).update(names)
    return found


async def partitions_of(broker: Broker) -> dict[str, list[TopicPartition]]:
    """By physical name this deployment's topics, and the broker's own. Raises KafkaError.

    A consumer knows the partitions of the topics that it reads, and of others none.
    """
    async with administering(broker) as admin:
        every = await admin.list_topics()
        ours = [each for each in every if each.startswith((broker.physical(""), "__"))]
        counts = await partition_counts(admin, ours)
    return {
        topic: [TopicPartition(topic, number) for number in range(count)]
        for topic, count in counts.items()
    }


async def _records_of(
    consumer: AIOKafkaConsumer, places: list[TopicPartition]
) -> AsyncIterator[Any]:
    """All that the partitions hold as of now: hundreds at once, each would take a poll alone."""
    begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
    left = [place for place in places if begins[place] < ends[place]]
    consumer.assign(left)
    await consumer.seek_to_beginning(*left)
    while left:
        for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
            for raw in records:
                yield raw
        done = [place for place in left if await consumer.position(place) >= ends[place]]
        consumer.pause(*done)
        left = [place for place in left if place not in done]


def record_bytes(raw: Any) -> bytes:
    """Key, value and headers of a record, kept apart by a byte that no needle goes across."""
    headers = (part for name, value in raw.headers or () for part in (name.encode(), value or b""))
    return b"\0".join((raw.key or b"", raw.value or b"", *headers))
