"""Puts a backup into an empty log: every record under its key, in its partition, in its order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec
from aiokafka import TopicPartition

from infra.deployment import Deployment
from infra.kafka.launch import broker_names
from infra.operations.backups.archive import (
    BackupError,
    BackupRecord,
    BackupTopic,
    check_whole,
    read_lines,
)
from infra.operations.backups.contents import KEPT
from infra.operations.log_access import reading, saying_why
from infra.operations.operator import require_keys
from infra.sandbox import running_components
from infra.stack import with_ports
from infra.supervisor.run_state import is_running
from streams.admin import apply_topics
from streams.producer import Publisher
from streams.topics import BY_NAME

AT_ONCE: Final = 500
AT_ONCE_BYTES: Final = 8 << 20


def check_fits(deployment: Deployment, path: Path) -> dict[str, int]:
    """Records by topic of a whole backup that belongs to this home's keys. Raises BackupError."""
    header, trailer = check_whole(path)
    own = require_keys(deployment).root_public().public_bytes_raw()
    if header.root_public != own:
        raise BackupError(
            "the backup is of a deployment with other keys, so nothing of it could be read:"
            " restore its keys first (--keys)"
        )
    unknown = trailer.records.keys() - {topic.name for topic in KEPT}
    if unknown:
        raise BackupError(f"this version does not know {', '.join(sorted(unknown))}")
    return trailer.records


@asynccontextmanager
async def broker_alone(deployment: Deployment) -> AsyncIterator[Deployment]:
    """The log with nobody on it: an embedded broker is started for as long as it takes.

    Raises BackupError where the deployment runs.
    """
    if is_running(deployment.home):
        raise BackupError("Playhead runs: stop it first, so that nobody decides on half of it")
    if deployment.settings.kafka:
        yield deployment
        return
    # On a port that nobody knows: whoever waits for the usual one must not find half of it.
    chosen = msgspec.structs.replace(
        deployment.settings, home=str(deployment.home), kafka_port=0, demo=False, canary=False
    )
    async with running_components(
        with_ports(chosen), only=broker_names(chosen.kafka_brokers)
    ) as running:
        yield running.deployment


async def restore(
    deployment: Deployment, path: Path, on_progress: Callable[[str, int, int], None]
) -> dict[str, int]:
    """Returns the records by topic. Raises BackupError where a topic has records already."""
    counts = await asyncio.to_thread(check_fits, deployment, path)
    broker = deployment.broker()
    with saying_why(broker):
        await apply_topics(broker, replication=deployment.replication)
        await _check_empty(deployment)
        publisher = Publisher(broker, client_id="playhead-operator", delivery_timeout_ms=60_000)
        await publisher.start()
        try:
            topic, done = "", 0
            lines = _batches(path)
            while (batch := await asyncio.to_thread(next, lines, None)) is not None:
                name, records = batch
                topic, done = name, (done if name == topic else 0)
                await asyncio.gather(*(_put(publisher, topic, record) for record in records))
                done += len(records)
                on_progress(topic, done, counts[topic])
        finally:
            await publisher.stop()
    return counts


async def _put(publisher: Publisher, topic: str, record: BackupRecord) -> None:
    await publisher.publish_raw(
        topic, record.key, record.value, dict(record.headers), record.partition
    )


def _batches(path: Path) -> Iterator[tuple[str, list[BackupRecord]]]:
    topic, records, size_bytes = "", list[BackupRecord](), 0
    for line in islice(read_lines(path), 1, None):
        if isinstance(line, BackupRecord):
            records.append(line)
            size_bytes += len(line.key) + len(line.value or b"")
        is_full = len(records) >= AT_ONCE or size_bytes >= AT_ONCE_BYTES
        if records and (is_full or not isinstance(line, BackupRecord)):
            yield topic, records
            records, size_bytes = [], 0
        if isinstance(line, BackupTopic):
            topic = line.name
            if line.partitions != BY_NAME[topic].partitions:
                raise BackupError(
                    f"{topic} had {line.partitions} partitions, here it has"
                    f" {BY_NAME[topic].partitions}: its keys would move"
                )


async def _check_empty(deployment: Deployment) -> None:
    broker = deployment.broker()
    async with reading(broker) as consumer:
        for topic in KEPT:
            physical = broker.physical(topic.name)
            places = [TopicPartition(physical, number) for number in range(topic.partitions)]
            starts, ends = (
                await consumer.beginning_offsets(places),
                await consumer.end_offsets(places),
            )
            if any(ends[place] > starts[place] for place in places):
                raise BackupError(
                    f"{topic.name} has records already: a backup goes into an empty log alone"
                )
