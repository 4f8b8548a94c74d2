"""Rows that the analytics worker stores per CPU-second, beside merely reading them."""

from __future__ import annotations

import asyncio
import secrets
import time

import aiohttp
import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.analytics.sink import GROUP
from infra.bench.heartbeats import heartbeat_around_sequence
from infra.bench.processes import cpu_s, resident_bytes
from infra.sandbox import Sandbox
from schemas.events import Stamp
from schemas.ids import uuid7
from streams.administering import administering, committed_offsets
from streams.broker import Broker
from streams.clock import system_clock
from streams.producer import Publisher
from streams.topics import PLAYBACK_EVENTS

ROWS_PER_SESSION = 200
PUBLISH_ROWS = 5_000
IDLE_S = 5
DRAIN_TIMEOUT_S = 300


class SinkFigure(msgspec.Struct, frozen=True, kw_only=True):
    """The worker's own CPU while the rows came and were stored; the engine's is counted apart."""

    rows: int
    rows_per_cpu_s: float
    engine_rows_per_cpu_s: float
    floor_rows_per_cpu_s: float
    """aiokafka's getmany on the same records, nothing decoded."""
    worker_start_cpu_s: float
    """Until it had its partitions and had stored a first session; not among the rows' CPU."""
    worker_idle_cpu_ratio: float
    """Of a core, with nothing to do; among the rows' CPU."""
    worker_resident_mb_max: int
    """While it drained."""


async def measure_sink(sandbox: Sandbox, rows: int) -> SinkFigure:
    """Publish so many events, wait until all are stored, and count CPU-seconds.

    Raises RuntimeError where other rows are stored than were published.
    """
    source = f"bench-{secrets.token_hex(4)}"
    broker = sandbox.deployment.broker()
    worker, engine = sandbox.pid_of("analytics"), sandbox.pid_of("clickhouse")
    await _publish(broker, PLAYBACK_EVENTS.partitions * 4 * ROWS_PER_SESSION, f"{source}-first")
    await _until_stored(broker, worker)
    start_s = cpu_s(worker)
    await asyncio.sleep(IDLE_S)
    before = cpu_s(worker), cpu_s(engine)
    starts = await _ends(broker)
    await _publish(broker, rows, source)
    resident_max = await _until_stored(broker, worker)
    after = cpu_s(worker), cpu_s(engine)
    if (stored := await _count(sandbox, source)) != rows:
        raise RuntimeError(f"{stored} rows are stored of {rows} that were published")
    return SinkFigure(
        rows=rows,
        rows_per_cpu_s=rows / (after[0] - before[0]),
        engine_rows_per_cpu_s=rows / (after[1] - before[1]),
        floor_rows_per_cpu_s=await _floor(broker, starts, rows),
        worker_start_cpu_s=start_s,
        worker_idle_cpu_ratio=(before[0] - start_s) / IDLE_S,
        worker_resident_mb_max=resident_max // 1_000_000,
    )


async def _publish(broker: Broker, rows: int, source: str) -> None:
    publisher = Publisher(broker, client_id="bench", delivery_timeout_ms=60_000)
    await publisher.start()
    try:
        batch: list[tuple[str, bytes]] = []
        for _ in range(rows // ROWS_PER_SESSION):
            batch += _session_rows(source)
            if len(batch) >= PUBLISH_ROWS:
                await publisher.publish_many(PLAYBACK_EVENTS, batch)
                batch = []
        await publisher.publish_many(PLAYBACK_EVENTS, batch)
    finally:
        await publisher.stop()


def _session_rows(source: str) -> list[tuple[str, bytes]]:
    now_ms = system_clock()
    session_id = str(uuid7(now_ms, secrets.token_bytes(10)))
    stamp = Stamp(
        received_at_ms=now_ms,
        via="sdk",
        account_id="bench",
        profile_id="bench",
        content_id="bench",
        plan="premium",
        region="DE",
    )
    head, tail = heartbeat_around_sequence(session_id, source, stamp)
    return [
        (session_id, b'%b"sequence":%d%b' % (head, sequence, tail))
        for sequence in range(ROWS_PER_SESSION)
    ]


async def _until_stored(broker: Broker, worker: int) -> int:
    """Returns the most memory that the worker held meanwhile, bytes.

    Kafka is asked, which is measured by nobody: a sink commits what it has stored.
    """
    ends, resident_max = await _ends(broker), 0
    async with administering(broker) as admin, asyncio.timeout(DRAIN_TIMEOUT_S):
        while True:
            resident_max = max(resident_max, resident_bytes(worker))
            stored = await committed_offsets(admin, broker, GROUP)
            if all(stored.get(place, -1) >= end for place, end in ends.items()):
                return resident_max
            await asyncio.sleep(0.5)


async def _count(sandbox: Sandbox, source: str) -> int:
    address, database = sandbox.deployment.reader_address(), sandbox.deployment.database
    query = f"SELECT count() FROM {database}.events WHERE source = {{source:String}}"  # noqa: S608 - the database is the settings'
    params = {"query": query, "param_source": source}
    async with aiohttp.ClientSession() as http, http.get(address, params=params) as response:
        response.raise_for_status()
        return int(await response.text())


def _partitions(broker: Broker) -> list[TopicPartition]:
    name = broker.physical(PLAYBACK_EVENTS.name)
    return [TopicPartition(name, i) for i in range(PLAYBACK_EVENTS.partitions)]


async def _ends(broker: Broker) -> dict[TopicPartition, int]:
    consumer = AIOKafkaConsumer(**broker.client_options(), group_id=None)
    await consumer.start()
    try:
        ends: dict[TopicPartition, int] = await consumer.end_offsets(_partitions(broker))
    finally:
        await consumer.stop()
    return ends


async def _floor(broker: Broker, starts: dict[TopicPartition, int], rows: int) -> float:
    consumer = AIOKafkaConsumer(**broker.client_options(), group_id=None)
    await consumer.start()
    try:
        consumer.assign(list(starts))
        for partition, offset in starts.items():
            consumer.seek(partition, offset)
        count, before_s = 0, time.process_time()
        while count < rows:
            fetched = await consumer.getmany(timeout_ms=1000)
            count += sum(map(len, fetched.values()))
        return count / (time.process_time() - before_s)
    finally:
        await consumer.stop()
