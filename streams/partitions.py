"""How many partitions a topic has, where a running log may have been given more of them.

The playback topics alone may grow (`playhead topics migrate`): the broker says how many they have,
the registry how many all others have. A topic is closed to writers on the broker itself, by letting
it take no batch at all: that holds for whoever writes, and outlives the command that did it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.administering import administering
from streams.broker import Broker
from streams.topic import Topic
from streams.topics import PLAYBACK_BANDWIDTH, PLAYBACK_EVENTS

GROWING: Final = (PLAYBACK_EVENTS, PLAYBACK_BANDWIDTH)
"""They grow together: the same agents read both by the same key. Only gateways write them, nobody
follows them as a view, and no state is rebuilt from one partition of them."""
METADATA_AGE_MS_MAX: Final = 5_000
"""Readers see new partitions within this: while a migration still lets nobody write."""
CLOSING_SETTING: Final = "max.message.bytes"
CLOSED_BYTES: Final = "1"
"""Less than any batch has."""


async def count_partitions(broker: Broker, topic: Topic) -> int:
    """As many as the broker has now; the broker is asked only about what may grow.

    Raises KafkaError.
    """
    if topic not in GROWING:
        return topic.partitions
    async with administering(broker) as admin:
        counts = await partition_counts(admin, [broker.physical(topic.name)])
    return counts.get(broker.physical(topic.name), topic.partitions)


async def partition_counts(admin: AIOKafkaAdminClient, names: Collection[str]) -> dict[str, int]:
    """By physical name; topics that do not exist are left out."""
    described = await admin.describe_topics(list(names))
    return {each["topic"]: len(each["partitions"]) for each in described if each["partitions"]}


async def closed_topics(admin: AIOKafkaAdminClient, names: Collection[str]) -> set[str]:
    """Those of the physical names that take no batch, because a migration closed them."""
    if not names:
        return set()
    asked = [
        ConfigResource(ConfigResourceType.TOPIC, name, {CLOSING_SETTING: ""}) for name in names
    ]
    return {
        name
        for answer in await admin.describe_configs(asked)
        for error, _, _, name, entries in answer.resources
        for entry in entries
        if not error and (entry[0], entry[1]) == (CLOSING_SETTING, CLOSED_BYTES)
    }
