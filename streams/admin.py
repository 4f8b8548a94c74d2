"""The topics on the broker, made and held to what the registry says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.administering import administering
from streams.broker import Broker
from streams.partitions import closed_topics
from streams.topic import Topic
from streams.topics import TOPICS

LEADERS_TIMEOUT_S = 60
LEADERS_POLL_S = 0.1


def topic_config(topic: Topic, replication: int) -> dict[str, str]:
    """The broker's settings for a topic, all written out.

    Of three replicas two must have a batch before it is acknowledged: each of them may die then.
    """
    config = {
        "cleanup.policy": "compact" if topic.is_compacted else "delete",
        "retention.ms": str(-1 if topic.retention_ms is None else topic.retention_ms),
        "retention.bytes": str(-1 if topic.retention_bytes is None else topic.retention_bytes),
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(4 << 20),
        "min.insync.replicas": str(min(2, max(1, replication - 1))),
    }
    if topic.is_compacted:
        config["min.cleanable.dirty.ratio"] = "0.2"
        config["segment.ms"] = str(24 * 3_600_000)
    if topic.forgets_within_ms is not None:
        # The file that is written to is never compacted, so it must not be written to for long.
        config["segment.ms"] = str(topic.forgets_within_ms)
        config["max.compaction.lag.ms"] = str(topic.forgets_within_ms)
        config["delete.retention.ms"] = str(topic.forgets_within_ms)
        config["min.compaction.lag.ms"] = "0"
        config["min.cleanable.dirty.ratio"] = "0.01"
    return config


def planned_topics(
    broker: Broker, *, topics: Iterable[Topic] = TOPICS, replication: int = 1
) -> dict[str, NewTopic]:
    """The registry's topics, each with its dead-letter topic where it has one."""
    wanted = list(topics)
    wanted += [topic.dead_letters for topic in wanted if topic.has_dead_letters]
    return {
        broker.physical(topic.name): NewTopic(
            name=broker.physical(topic.name),
            num_partitions=topic.partitions,
            replication_factor=replication,
            topic_configs=topic_config(topic, replication),
        )
        for topic in wanted
    }


async def apply_topics(
    broker: Broker,
    *,
    topics: Iterable[Topic] = TOPICS,
    replication: int = 1,
    dry_run: bool = False,
) -> list[str]:
    """Make what is missing and set what differs; returns the names of the topics made.

    A topic that a migration has closed stays closed, and one that it gave more partitions has them.
    """
    plan = planned_topics(broker, topics=topics, replication=replication)
    async with administering(broker, request_timeout_ms=20_000) as admin:
        existing = set(await admin.list_topics())
        missing = [new for name, new in plan.items() if name not in existing]
        if not dry_run and missing:
            await admin.create_topics(missing)
            await _wait_for_leaders(admin, [new.name for new in missing])
        if not dry_run:
            present = [name for name in plan if name in existing]
            closed = await closed_topics(admin, present)
            await _set_configs(admin, [plan[name] for name in present if name not in closed])
    return [new.name for new in missing]


async def _wait_for_leaders(admin: AIOKafkaAdminClient, names: list[str]) -> None:
    """Return when every partition of the topics can be written to: some time after their making.

    Raises TimeoutError.
    """
    async with asyncio.timeout(LEADERS_TIMEOUT_S):
        while True:
            described = await admin.describe_topics(names)
            partitions = [p for topic in described for p in topic["partitions"]]
            if partitions and all(p["error_code"] == 0 and p["leader"] >= 0 for p in partitions):
                return
            await asyncio.sleep(LEADERS_POLL_S)


async def _set_configs(admin: AIOKafkaAdminClient, topics: list[NewTopic]) -> None:
    if topics:
        await admin.alter_configs(
            [
                ConfigResource(ConfigResourceType.TOPIC, topic.name, topic.topic_configs)
                for topic in topics
            ]
        )
