"""Reads the records of truth out of the log into a file; nothing stops meanwhile.

The ends of all topics are noted first: what is written later is not in the backup.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from importlib.metadata import version
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition

from infra.deployment import Deployment
from infra.operations.backups.archive import (
    FORMAT,
    BackupHeader,
    BackupRecord,
    BackupTopic,
    writing,
)
from infra.operations.backups.contents import KEPT
from infra.operations.log_access import reading, records_before
from infra.operations.moments import instant
from infra.operations.operator import require_keys
from streams.clock import Clock
from streams.topic import Topic


async def back_up(
    deployment: Deployment,
    path: Path | None,
    clock: Clock,
    on_progress: Callable[[str, int, int], None],
) -> dict[str, int]:
    """Write the file; without a path (a dry run) only count. Returns records by topic."""
    header = BackupHeader(
        format=FORMAT,
        version=version("playhead"),
        namespace=deployment.settings.namespace,
        at_ms=clock(),
        root_public=require_keys(deployment).root_public().public_bytes_raw(),
    )
    async with reading(deployment.broker()) as consumer:
        ends = {topic: await _ends(deployment, consumer, topic) for topic in KEPT}
        if path is None:
            return {topic.name: await _count(consumer, ends[topic]) for topic in KEPT}
        counts: dict[str, int] = {}
        with writing(path, header) as write:
            for topic in KEPT:
                write(BackupTopic(name=topic.name, partitions=topic.partitions))
                total, count = await _count(consumer, ends[topic]), 0
                async for record in _records(consumer, ends[topic], newest=topic.is_compacted):
                    write(record)
                    count += 1
                    on_progress(topic.name, count, total)
                counts[topic.name] = count
        return counts


def new_file(deployment: Deployment, now_ms: int) -> Path:
    """A name by the time, under the home; move it elsewhere, a lost disk takes it along."""
    folder = deployment.home / "backups"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"{instant(now_ms).replace(':', '')}.gz"


async def _ends(
    deployment: Deployment, consumer: AIOKafkaConsumer, topic: Topic
) -> dict[TopicPartition, int]:
    physical = deployment.broker().physical(topic.name)
    places = [TopicPartition(physical, number) for number in range(topic.partitions)]
    ends: dict[TopicPartition, int] = await consumer.end_offsets(places)
    return ends


async def _count(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> int:
    starts = await consumer.beginning_offsets(list(ends))
    return sum(end - starts[place] for place, end in ends.items())


async def _records(
    consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int], *, newest: bool
) -> AsyncIterator[BackupRecord]:
    """In log order; of a compacted topic the newest of each key, where it was not removed."""
    for place, end in ends.items():
        kept: dict[bytes, BackupRecord] = {}
        async for raw in records_before(consumer, place, end):
            key = raw.key or b""
            record = BackupRecord(
                partition=place.partition, key=key, value=raw.value, headers=list(raw.headers)
            )
            if not newest:
                yield record
                continue
            kept.pop(key, None)
            if raw.value is not None:
                kept[key] = record
        for record in kept.values():
            yield record
