"""How many records of the playback topics the log took in a minute: the ledger's middle column."""

from __future__ import annotations

from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.delivery import LedgerEntry
from streams.broker import Broker
from streams.partitions import count_partitions
from streams.topic import Topic
from streams.topics import PLAYBACK_BANDWIDTH, PLAYBACK_EVENTS

MINUTE_MS: Final = 60_000
WRITER: Final = "log"
"""Stands where a gateway's name stands: the same minute told twice is one entry."""
TOPICS: Final = (PLAYBACK_EVENTS, PLAYBACK_BANDWIDTH)


async def count_minute(
    consumer: AIOKafkaConsumer, broker: Broker, topic: Topic, minute_ms: int
) -> LedgerEntry:
    """Records that the broker stamped in [minute, minute + 1): between two offsets each."""
    physical = broker.physical(topic.name)
    count = await count_partitions(broker, topic)
    places = [TopicPartition(physical, number) for number in range(count)]
    starts = await consumer.offsets_for_times(dict.fromkeys(places, minute_ms))
    stops = await consumer.offsets_for_times(dict.fromkeys(places, minute_ms + MINUTE_MS))
    ends = await consumer.end_offsets(places)
    found = 0
    for place in places:
        start, stop = starts.get(place), stops.get(place)
        if start is not None:  # None: nothing is so young
            found += (ends[place] if stop is None else stop.offset) - start.offset
    return LedgerEntry(gateway=WRITER, minute_ms=minute_ms, topic=topic.name, in_log=found)
