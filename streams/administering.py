"""Questions to the broker about the log itself, and where groups are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from streams.broker import Broker


@asynccontextmanager
async def administering(broker: Broker, **options: Any) -> AsyncIterator[AIOKafkaAdminClient]:
    """An administrative client for the length of the block. Raises KafkaError."""
    admin = AIOKafkaAdminClient(**broker.client_options(), **options)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


async def committed_offsets(
    admin: AIOKafkaAdminClient, broker: Broker, group: str
) -> dict[TopicPartition, int]:
    """Where the group goes on, by place; those without a commit are left out. Raises KafkaError."""
    found = await admin.list_consumer_group_offsets(broker.physical(group))
    return {place: meta.offset for place, meta in found.items() if meta.offset >= 0}
