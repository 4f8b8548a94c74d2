"""The topics on the broker, made and held to what the registry says."""

from __future__ import annotations

from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.broker import Broker
from streams.topics import DEAD_LETTER_RETENTION_MS, TOPICS, Topic


def topic_config(topic: Topic) -> dict[str, str]:
    """The broker's settings for a topic, all written out."""
    config = {
        "cleanup.policy": "compact" if topic.is_compacted else "delete",
        "retention.ms": str(-1 if topic.retention_ms is None else topic.retention_ms),
        "retention.bytes": str(-1 if topic.retention_bytes is None else topic.retention_bytes),
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(4 << 20),
    }
    if topic.is_compacted:
        config["min.cleanable.dirty.ratio"] = "0.2"
        config["segment.ms"] = str(24 * 3_600_000)
    return config


def planned_topics(
    broker: Broker, *, topics: Iterable[Topic] = TOPICS, replication: int = 1
) -> dict[str, NewTopic]:
    """The registry's topics, each with its dead-letter topic where it has one."""
    plan: dict[str, NewTopic] = {}
    for topic in topics:
        plan[broker.physical(topic.name)] = _new_topic(
            broker.physical(topic.name), topic, topic_config(topic), replication
        )
        if topic.has_dead_letters:
            config = topic_config(topic) | {
                "cleanup.policy": "delete",
                "retention.ms": str(DEAD_LETTER_RETENTION_MS),
            }
            name = broker.physical(topic.dead_letter)
            plan[name] = _new_topic(name, topic, config, replication)
    return plan


def _new_topic(name: str, topic: Topic, config: dict[str, str], replication: int) -> NewTopic:
    return NewTopic(
        name=name,
        num_partitions=topic.partitions,
        replication_factor=replication,
        topic_configs=config,
    )


async def apply_topics(
    broker: Broker,
    *,
    topics: Iterable[Topic] = TOPICS,
    replication: int = 1,
    dry_run: bool = False,
) -> list[str]:
    """Make what is missing and set what differs; returns the names of the topics made."""
    admin = AIOKafkaAdminClient(**broker.client_options(), request_timeout_ms=20_000)
    await admin.start()
    try:
        plan = planned_topics(broker, topics=topics, replication=replication)
        existing = set(await admin.list_topics())
        missing = [new for name, new in plan.items() if name not in existing]
        if not dry_run and missing:
            await admin.create_topics(missing)
        if not dry_run:
            await _set_configs(admin, [plan[n] for n in plan if n in existing])
    finally:
        await admin.close()
    return [new.name for new in missing]


async def _set_configs(admin: AIOKafkaAdminClient, topics: list[NewTopic]) -> None:
    if topics:
        await admin.alter_configs(
            [
                ConfigResource(ConfigResourceType.TOPIC, topic.name, topic.topic_configs)
                for topic in topics
            ]
        )
