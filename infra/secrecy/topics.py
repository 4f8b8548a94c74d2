"""Every record of every topic, as a consumer gets it: decompressed, key, value and headers."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from infra.faults.secrecy import Needle
from infra.operations.log_access import reading, saying_why
from streams.administering import administering
from streams.broker import Broker
from streams.partitions import partition_counts

POLL_MS: Final = 500


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
        async with reading(broker, fetch_bytes_max=4 << 20) as consumer:
            wanted_topics = {broker.physical(name) for name in only} or partitions.keys()
            for topic in sorted(partitions.keys() & wanted_topics):
                names = await _found_in(consumer, partitions[topic], wanted)
                if names:
                    found[topic] = names
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


async def _found_in(
    consumer: AIOKafkaConsumer, places: list[TopicPartition], needles: list[Needle]
) -> set[str]:
    ends = await consumer.end_offsets(places)
    found = set[str]()
    for place in places:
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        while await consumer.position(place) < ends[place]:
            fetched = await consumer.getmany(place, timeout_ms=POLL_MS)
            for raw in fetched.get(place, []):
                content = record_bytes(raw)
                found |= {needle.name for needle in needles if needle.data in content}
    return found


def record_bytes(raw: Any) -> bytes:
    """Key, value and headers of a record, kept apart by a byte that no needle goes across."""
    headers = (part for name, value in raw.headers or () for part in (name.encode(), value or b""))
    return b"\0".join((raw.key or b"", raw.value or b"", *headers))
