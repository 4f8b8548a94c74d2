"""How far behind its topics a consumer group is, in messages and in time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.administering import administering, committed_offsets
from streams.broker import Broker

FETCH_WAIT_MS = 100


class GroupLag(msgspec.Struct, frozen=True, kw_only=True):
    """One group on one topic, over all partitions."""

    consumer_group: str
    topic: str
    committed_offset: int
    """Sum over partitions."""
    high_watermark: int
    """Sum over partitions."""
    consumer_lag: int
    """Messages."""
    consumer_lag_ms: int
    """Age of the oldest message not yet committed; 0 where there is none."""


async def read_lags(broker: Broker, groups: Iterable[str], now_ms: int) -> list[GroupLag]:
    """The lag of each group on each topic that it has committed on."""
    lags: list[GroupLag] = []
    async with administering(broker) as admin:
        # A fetch that waits for more holds up every other question on the same connection.
        consumer = AIOKafkaConsumer(
            **broker.client_options(), group_id=None, fetch_max_wait_ms=FETCH_WAIT_MS
        )
        try:
            await consumer.start()
            for group in groups:
                offsets = await committed_offsets(admin, broker, group)
                lags.extend(await _group_lags(broker, consumer, group, offsets, now_ms))
        finally:
            await consumer.stop()
    return lags


async def _group_lags(
    broker: Broker,
    consumer: AIOKafkaConsumer,
    group: str,
    offsets: dict[TopicPartition, int],
    now_ms: int,
) -> list[GroupLag]:
    if not offsets:
        return []
    ends = await consumer.end_offsets(list(offsets))
    oldest = await _oldest_pending(consumer, {p: o for p, o in offsets.items() if o < ends[p]})
    by_topic: dict[str, list[TopicPartition]] = defaultdict(list)
    for partition in offsets:
        by_topic[partition.topic].append(partition)
    return [
        GroupLag(
            consumer_group=group,
            topic=broker.logical(topic),
            committed_offset=sum(offsets[p] for p in partitions),
            high_watermark=sum(ends[p] for p in partitions),
            consumer_lag=sum(max(0, ends[p] - offsets[p]) for p in partitions),
            consumer_lag_ms=max((now_ms - oldest[p] for p in partitions if p in oldest), default=0),
        )
        for topic, partitions in sorted(by_topic.items())
    ]


async def _oldest_pending(
    consumer: AIOKafkaConsumer, behind: dict[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """The append time of the first message after each committed offset."""
    if not behind:
        return {}
    consumer.assign(list(behind))
    for partition, offset in behind.items():
        consumer.seek(partition, offset)
    found: dict[TopicPartition, int] = {}
    for _ in range(20):
        fetched = await consumer.getmany(timeout_ms=250, max_records=500)
        for partition, records in fetched.items():
            found.setdefault(partition, records[0].timestamp)
        if len(found) == len(behind) or not fetched:
            break
    # Not unsubscribed: aiokafka 0.14.0 never ends a consumer that is stopped right after.
    return found
