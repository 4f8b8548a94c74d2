"""Makes the broker drop the records of a destroyed key from its files now, not when it gets to it.

A removed key's record stays in a topic's files until the broker compacts them, and it never
compacts the file that it writes to. So that file is closed by a short `segment.ms` and one more
record.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from infra.deployment import Deployment
from infra.operations.log_access import saying_why
from streams.admin import topic_config
from streams.administering import administering
from streams.topic import Topic

SEGMENT_MS: Final = 1_000
LOOK_S: Final = 2.0
REMOVALS: Final = 3
"""The first removal must lie in a closed file; the broker's cleaner comes by every 15 s."""


async def force_out(
    deployment: Deployment,
    topic: Topic,
    remove_again: Callable[[], Awaitable[None]],
    is_gone: Callable[[], Awaitable[bool]],
    *,
    timeout_s: float,
) -> bool:
    """Whether the broker dropped it in time; the topic's settings are as before afterwards.

    `remove_again` appends one more removal of the same key, to the same partition.
    """
    usual = topic_config(topic, deployment.replication)
    hasty = {
        **usual,
        "segment.ms": str(SEGMENT_MS),
        "max.compaction.lag.ms": str(SEGMENT_MS),
        "file.delete.delay.ms": str(SEGMENT_MS),
    }
    until_s = time.monotonic() + timeout_s
    with saying_why(deployment.broker()):
        await _configure(deployment, topic, hasty)
        try:
            removals = 0
            while True:
                # The broker closes a file by the age of its first record, at the next one.
                await asyncio.sleep(SEGMENT_MS / 1000 + LOOK_S)
                if await is_gone():
                    return True
                if time.monotonic() >= until_s:
                    return False
                if removals < REMOVALS:
                    await remove_again()
                    removals += 1
        finally:
            await _configure(deployment, topic, usual)


async def _configure(deployment: Deployment, topic: Topic, config: dict[str, str]) -> None:
    broker = deployment.broker()
    resource = ConfigResource(ConfigResourceType.TOPIC, broker.physical(topic.name), config)
    async with administering(broker) as admin:
        await admin.alter_configs([resource])
