"""How far each consumer group is, and how young the newest thing is that it has committed."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from infra.operations.log_access import reading, saying_why
from streams.administering import administering, committed_offsets
from streams.broker import Broker
from streams.lag import GroupLag, read_lags

POLLS_MAX = 20
FETCH_BYTES_MAX = 64 << 10


class GroupStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One consumer group over all its topics."""

    consumer_group: str
    topics: int
    consumer_lag: int
    """Messages."""
    consumer_lag_ms: int
    """Age of the oldest message not yet committed."""
    last_committed_at_ms: int | None
    """Broker's time of the newest message that is committed; None: nothing yet, or removed."""


async def read_groups(broker: Broker, groups: Iterable[str], now_ms: int) -> list[GroupStatus]:
    """Every group, also one that never committed. Raises LogUnreachableError."""
    names = list(groups)
    with saying_why(broker):
        lags = await read_lags(broker, names, now_ms)
        newest = await _newest_committed(broker, names)
    return [sum_up(name, lags, newest.get(name)) for name in names]


def sum_up(group: str, lags: Iterable[GroupLag], last_committed_at_ms: int | None) -> GroupStatus:
    """The group's topics as one line."""
    own = [lag for lag in lags if lag.consumer_group == group]
    return GroupStatus(
        consumer_group=group,
        topics=len(own),
        consumer_lag=sum(lag.consumer_lag for lag in own),
        consumer_lag_ms=max((lag.consumer_lag_ms for lag in own), default=0),
        last_committed_at_ms=last_committed_at_ms,
    )


async def _newest_committed(broker: Broker, groups: list[str]) -> dict[str, int]:
    """By group, the append time of the newest message before a committed offset."""
    async with (
        administering(broker) as admin,
        reading(broker, fetch_bytes_max=FETCH_BYTES_MAX) as consumer,
    ):
        found: dict[str, int] = {}
        for group in groups:
            committed = await committed_offsets(admin, broker, group)
            offsets = {place: offset for place, offset in committed.items() if offset}
            times = await _append_times(consumer, offsets)
            if times:
                found[group] = max(times)
        return found


async def _append_times(
    consumer: AIOKafkaConsumer, offsets: dict[TopicPartition, int]
) -> list[int]:
    """The append time of the message just before each offset, where it is still there."""
    starts = await consumer.beginning_offsets(list(offsets)) if offsets else {}
    waiting = {place: offset - 1 for place, offset in offsets.items() if starts[place] < offset}
    if not waiting:
        return []
    consumer.assign(list(waiting))
    for place, offset in waiting.items():
        consumer.seek(place, offset)
    times: list[int] = []
    for _ in range(POLLS_MAX):
        fetched = await consumer.getmany(timeout_ms=250)
        for place, records in fetched.items():
            if place in waiting and records[0].offset == waiting.pop(place):
                times.append(records[0].timestamp)
                consumer.pause(place)
        if not waiting or not fetched:
            break
    return times
