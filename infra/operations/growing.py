"""More partitions for the playback topics of a running deployment: drain, then grow.

The topics stay the same ones: so every offset, and what was stored under it, keeps its name, and
nothing is copied. What must not happen is that a session's events lie in two partitions unread at
once. So the topics are closed to writers on the broker itself, every agent reads them to their end,
partitions are added, every writer's count of them grows too old to be used, and the topics are
opened. All that there is to know between two steps is on the broker: the same command goes on after
a kill, from any machine.
"""

from __future__ import annotations

import asyncio
import fcntl
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from infra.deployment import Deployment
from infra.operations.log_access import CONSUMER_GROUPS, reading, reads, saying_why
from schemas.errors import PlayheadError
from streams.admin import topic_config
from streams.administering import administering, committed_offsets
from streams.broker import Broker
from streams.clock import system_clock
from streams.connection import COUNT_AGE_S_MAX
from streams.lag import read_lags
from streams.partitions import (
    CLOSED_BYTES,
    CLOSING_SETTING,
    GROWING,
    closed_topics,
    partition_counts,
)
from streams.topic import Family, Topic

PARTITIONS_MAX: Final = 256
WRITING_S_MAX: Final = 5.0
"""How long a gateway tries: `infra.wiring.parts.GATEWAY_DELIVERY_TIMEOUT_MS`; a test says so."""
SETTLING_S: Final = COUNT_AGE_S_MAX + WRITING_S_MAX + 0.5
"""After this no writer uses a count from before the growth, nor has a record that was placed by it:
it was refused meanwhile, or given up."""
LAG_MS_MAX: Final = 10_000
"""Whoever is further behind would keep the topics closed for long."""
POLL_S: Final = 0.2
READERS: Final = tuple(
    group for group in CONSUMER_GROUPS if any(reads(group, topic) for topic in GROWING)
)
"""The groups that must come to the end."""

Ends = Mapping[TopicPartition, int]
Told = Callable[[str, int], None]
"""What is being done, and how many records are still to be read."""


class GrowthRefusedError(PlayheadError):
    """This would lose order, or cannot be done; the message says why."""


class GroupStanding(msgspec.Struct, frozen=True, kw_only=True):
    """What a group has still to read of the topics."""

    consumer_group: str
    consumer_lag: int
    """Messages."""
    consumer_lag_ms: int
    is_running: bool


class TopicGrowth(msgspec.Struct, frozen=True, kw_only=True):
    """One of the topics, before."""

    topic: str
    partitions: int
    records: int
    """That lie where they are, and stay there."""
    is_closed: bool
    """An earlier command closed it and was killed."""


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done, and, where it was done, how long nobody could write."""

    partitions: int
    topics: tuple[TopicGrowth, ...]
    groups: tuple[GroupStanding, ...]
    refused_ms: int | None = None
    """From the closing by this command until the opening; None: nothing was done."""

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return all(t.partitions == self.partitions and not t.is_closed for t in self.topics)


def why_pinned(topic: Topic) -> str:
    """Why a topic's partitions are what they are for good; empty where they may be more."""
    if topic in GROWING:
        return ""
    if topic.family is Family.REPLIES:
        return "requests name the partition that their answer goes to"
    if topic.family is Family.SINGLE:
        return "its readers rely on one order over all its keys"
    if topic.is_compacted:
        return "a key's old value would stay in its old partition beside the new one"
    return "state is rebuilt from it, or its order is asked for, partition by partition"


def why_refused(growth: Growth) -> str:
    """Why it may not be begun now; empty where it may."""
    if any(each.partitions > growth.partitions for each in growth.topics):
        most = max(each.partitions for each in growth.topics)
        return f"it has {most} partitions: Kafka takes none away"
    away = [each.consumer_group for each in growth.groups if not each.is_running]
    if away:
        return f"nobody could write until {', '.join(away)} reads to the end, which does not run"
    late = [each for each in growth.groups if each.consumer_lag_ms > LAG_MS_MAX]
    if late and not any(each.is_closed for each in growth.topics):
        says = ", ".join(f"{g.consumer_group} by {g.consumer_lag_ms // 1000} s" for g in late)
        return f"agents are behind: {says}. Nobody could write until they have caught up; wait"
    return ""


async def grow(
    deployment: Deployment,
    topic: Topic,
    partitions: int,
    *,
    dry_run: bool,
    drain_s_max: float,
    on_step: Told,
) -> Growth:
    """Give the topic, and those that grow with it, that many partitions.

    Raises GrowthRefusedError, also where an agent does not read to the end within `drain_s_max`:
    the topics are open again then, unless they have their partitions already.
    """
    if pinned := why_pinned(topic):
        raise GrowthRefusedError(f"{topic.name} keeps its {topic.partitions} partitions: {pinned}")
    broker = deployment.broker()
    with saying_why(broker), _alone(deployment.home):
        async with _opened(broker, deployment.replication) as log:
            growth = await log.look(partitions)
            if growth.is_done:
                return growth
            if reason := why_refused(growth):
                raise GrowthRefusedError(f"{topic.name}: {reason}")
            if dry_run:
                return growth
            closed_at_s = time.monotonic()
            await log.close()
            await _move(log, growth, drain_s_max, on_step)
            await log.open()
            refused_ms = round((time.monotonic() - closed_at_s) * 1000)
            return msgspec.structs.replace(growth, refused_ms=refused_ms)


async def _move(log: _Log, growth: Growth, drain_s_max: float, on_step: Told) -> None:
    """Everything between closing and opening; nothing is written meanwhile."""
    has_grown = any(each.partitions == growth.partitions for each in growth.topics)
    try:
        await _drain(log, drain_s_max, on_step)
    except BaseException:
        if not has_grown:
            await log.open()
        raise
    await log.add_partitions(growth.partitions)
    ends = await log.ends()
    quiet_since_s = time.monotonic()
    while (left_s := quiet_since_s + SETTLING_S - time.monotonic()) > 0:
        on_step(f"letting every writer hear of it, {left_s:.0f} s", 0)
        await asyncio.sleep(min(left_s, 0.5))
        # A batch that was on its way when the topics were closed: it is read, too, before others.
        if (now := await log.ends()) != ends:
            await _drain(log, drain_s_max, on_step)
            ends, quiet_since_s = now, time.monotonic()


async def _drain(log: _Log, drain_s_max: float, on_step: Told) -> None:
    """Return when every group has committed everything. Raises GrowthRefusedError."""
    begun_s = time.monotonic()
    while waiting := {group: left for group, left in (await log.unread()).items() if left}:
        if time.monotonic() - begun_s > drain_s_max:
            says = ", ".join(f"{group} ({left} records)" for group, left in waiting.items())
            raise GrowthRefusedError(
                f"not read to the end within {drain_s_max:g} s by {says}: does it run?"
                " `playhead status`. Then give this command again"
            )
        on_step(f"{max(waiting, key=lambda g: waiting[g])} reads to the end", sum(waiting.values()))
        await asyncio.sleep(POLL_S)


@dataclass(frozen=True, slots=True)
class _Log:
    """The topics on the broker."""

    broker: Broker
    replication: int
    admin: AIOKafkaAdminClient
    consumer: AIOKafkaConsumer

    @property
    def names(self) -> dict[str, Topic]:
        """By physical name."""
        return {self.broker.physical(topic.name): topic for topic in GROWING}

    async def look(self, partitions: int) -> Growth:
        """As it is now, towards so many partitions."""
        counts = await partition_counts(self.admin, self.names)
        if missing := [t.name for name, t in self.names.items() if name not in counts]:
            raise GrowthRefusedError(f"the log has no {missing[0]}: playhead topics apply")
        closed = await closed_topics(self.admin, self.names)
        ends, beginnings = await self.ends(), await self._beginnings()
        held = dict.fromkeys(counts, 0)
        for place, end in ends.items():
            held[place.topic] += end - beginnings[place]
        return Growth(
            partitions=partitions,
            topics=tuple(
                TopicGrowth(
                    topic=topic.name,
                    partitions=counts[name],
                    records=held[name],
                    is_closed=name in closed,
                )
                for name, topic in self.names.items()
            ),
            groups=await self._standings(),
        )

    async def _standings(self) -> tuple[GroupStanding, ...]:
        lags = await read_lags(self.broker, READERS, system_clock())
        ages_ms: dict[str, int] = {}
        for lag in lags:
            if lag.topic in {topic.name for topic in GROWING}:
                age_ms = max(lag.consumer_lag_ms, ages_ms.get(lag.consumer_group, 0))
                ages_ms[lag.consumer_group] = age_ms
        standings = [
            GroupStanding(
                consumer_group=group,
                consumer_lag=left,
                consumer_lag_ms=ages_ms.get(group, 0),
                is_running=await self._is_running(group),
            )
            for group, left in (await self.unread()).items()
        ]
        return tuple(standings)

    async def close(self) -> None:
        """Let the broker refuse every batch."""
        await self._configure({CLOSING_SETTING: CLOSED_BYTES})

    async def open(self) -> None:
        """As the registry has them."""
        await self._configure({})

    async def _configure(self, changed: Mapping[str, str]) -> None:
        answers = await self.admin.alter_configs(
            [
                ConfigResource(
                    ConfigResourceType.TOPIC,
                    name,
                    {**topic_config(topic, self.replication), **changed},
                )
                for name, topic in self.names.items()
            ]
        )
        for answer in answers:
            for code, why, _, name in answer.resources:
                if code:
                    raise GrowthRefusedError(f"the broker does not change {name}: {why}")

    async def add_partitions(self, count: int) -> None:
        """In one request, so that readers see both topics grow at once."""
        counts = await partition_counts(self.admin, self.names)
        wanted = {name: NewPartitions(count) for name in self.names if counts[name] < count}
        if wanted:
            await self.admin.create_partitions(wanted)
        while set((await partition_counts(self.admin, self.names)).values()) != {count}:  # noqa: ASYNC110 - another process makes them
            await asyncio.sleep(POLL_S)

    async def ends(self) -> Ends:
        """Of every partition that there is now."""
        found: Ends = await self.consumer.end_offsets(await self._places())
        return found

    async def _beginnings(self) -> Ends:
        found: Ends = await self.consumer.beginning_offsets(await self._places())
        return found

    async def _places(self) -> list[TopicPartition]:
        counts = await partition_counts(self.admin, self.names)
        return [TopicPartition(name, n) for name, count in counts.items() for n in range(count)]

    async def unread(self) -> dict[str, int]:
        """How many records each group that reads the topics has not committed."""
        beginnings, ends = await self._beginnings(), await self.ends()
        found: dict[str, int] = {}
        for group in READERS:
            known = await committed_offsets(self.admin, self.broker, group)
            found[group] = sum(
                max(0, end - max(known.get(place, 0), beginnings[place]))
                for place, end in ends.items()
            )
        return found

    async def _is_running(self, group: str) -> bool:
        answers = await self.admin.describe_consumer_groups([self.broker.physical(group)])
        return any(described[5] for answer in answers for described in answer.groups)  # members


@asynccontextmanager
async def _opened(broker: Broker, replication: int) -> AsyncIterator[_Log]:
    async with reading(broker) as consumer, administering(broker) as admin:
        yield _Log(broker, replication, admin, consumer)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One at a time on this machine; a killed one holds nothing."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "topics.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise GrowthRefusedError("another migration of topics is running") from error
        yield
