"""ClickHouse away, and changed, while events come in."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from infra.clickhouse.client import open_client, parse_url
from infra.clickhouse.migrate import migrate_up
from infra.clickhouse.migration_files import Migration, load_migrations
from schemas import codec
from schemas.events import Heartbeat
from streams.broker import Broker
from streams.topics import PLAYBACK_EVENTS
from tests.integration.analytics_stage import (
    SinkProcess,
    Stage,
    a_killable_stage,
    a_session_id,
)
from tests.integration.engine import start_clickhouse
from tests.integration.playback import an_event

POST_EVENTS = 100
MANY_EVENTS = 1_000
RATE_PER_S = 1_000
BACKLOG_ROWS = 200_000
BUFFER_BYTES_MAX = 8 << 20
GROWTH_BYTES_MAX = 24 << 20
"""The buffer, as much again for what is fetched ahead, and some for chunks that were begun."""
WORK_BYTES_MAX = 144 << 20
"""A drain's chunks are as large as they may be: of each of eight partitions one as 8 MiB of bytes,
its columns and its insert's body, and four copies of an answer of 8 MiB to a fetch.
"""
AWAY_S = 10
DRAIN_RATIO_MIN = 3


@pytest.fixture
async def stage(broker: Broker, tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_killable_stage(broker, tmp_path) as stage:
        yield stage


class Producer:
    """Posts of heartbeats at a steady rate, each of a session of its own."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.count = 0
        self.byte_count = 0
        self.is_over = False

    async def run(self) -> None:
        """Until it is over: a post that is cancelled may be in the log and is not counted."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for posts in itertools.count(1):
            await self.post(POST_EVENTS)
            if self.is_over:
                return
            due = began + posts * POST_EVENTS / RATE_PER_S
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def post_many(self, count: int) -> None:
        """As fast as the broker takes them."""
        for _ in range(count // MANY_EVENTS):
            await self.post(MANY_EVENTS)

    async def post(self, count: int) -> None:
        session = a_session_id()
        events = [an_event(Heartbeat, session, number) for number in range(count)]
        rows = [(session, codec.encode(event)) for event in events]
        await self._stage.publisher.publish_many(PLAYBACK_EVENTS, rows)
        self.count += count
        self.byte_count += sum(len(value) for _, value in rows)


@asynccontextmanager
async def producing(stage: Stage) -> AsyncIterator[Producer]:
    producer = Producer(stage)
    task = asyncio.create_task(producer.run())
    try:
        yield producer
    finally:
        producer.is_over = True
        await task


async def test_a_backlog_waits_in_the_log_and_drains_at_thrice_the_ingest_rate(
    stage: Stage, tmp_path: Path
) -> None:
    """What comes while ClickHouse is away is far more than the sink may hold."""
    sink = SinkProcess(stage, tmp_path, bucket_ms=1_000, buffer_bytes_max=BUFFER_BYTES_MAX)
    await sink.start()
    try:
        async with producing(stage) as producer:
            await producer.post_many(BACKLOG_ROWS)  # an idle sink would grow with its first work
            many = f"SELECT count() > {BACKLOG_ROWS} FROM events_raw"  # noqa: S608 - a number
            await stage.until(many, 1, 60)
            engine = stage.engine
            await engine.stop(signal.SIGKILL)
            before_bytes, byte_count = sink.resident_bytes(), producer.byte_count
            await producer.post_many(BACKLOG_ROWS)
            held_bytes = []
            for _ in range(AWAY_S * 2):
                await asyncio.sleep(0.5)
                held_bytes.append(sink.resident_bytes())
            away_growth_bytes = max(held_bytes) - before_bytes
            assert producer.byte_count - byte_count > 2 * GROWTH_BYTES_MAX
            stage.engine = await start_clickhouse(engine.home, engine.port)
            drained_per_s, came_per_s = await _drain(stage, producer)
            drain_growth_bytes = sink.resident_bytes() - before_bytes
        total = producer.count
        await stage.until("SELECT count() FROM events_raw", total, 60)
        await stage.until("SELECT sum(rows) FROM ingest_ledger", total)
    finally:
        await sink.kill()
    print(
        f"drained {drained_per_s:.0f}/s while {came_per_s:.0f}/s came; grew by"
        f" {away_growth_bytes / 1e6:.1f} MB away, by {drain_growth_bytes / 1e6:.1f} MB draining"
    )
    assert drained_per_s >= DRAIN_RATIO_MIN * came_per_s
    assert away_growth_bytes < GROWTH_BYTES_MAX
    assert drain_growth_bytes < WORK_BYTES_MAX


async def _drain(stage: Stage, producer: Producer) -> tuple[float, float]:
    """Rows per second from the engine's return until what is left is young; and how many came
    per second meanwhile.
    """
    loop = asyncio.get_running_loop()
    first = stored = await stage.one("SELECT count() FROM events_raw")
    began, came = loop.time(), producer.count
    while stored < producer.count - 3 * RATE_PER_S:  # what two buckets gather, and a fetch
        await asyncio.sleep(0.1)
        stored = await stage.one("SELECT count() FROM events_raw")
    took_s = loop.time() - began
    return (stored - first) / took_s, (producer.count - came) / took_s


MOOD = Migration(
    version=9001,
    name="mood",
    checksum="0" * 64,
    up="""
ALTER TABLE ${database}.events_raw ${on_cluster}
ADD COLUMN IF NOT EXISTS mood String DEFAULT 'calm' AFTER name;

CREATE TABLE IF NOT EXISTS ${database}.moods ${on_cluster}
(
    mood String,
    rows SimpleAggregateFunction(sum, UInt64)
)
ENGINE = ${replicated}AggregatingMergeTree
ORDER BY mood
SETTINGS ${dedup_window};

CREATE MATERIALIZED VIEW IF NOT EXISTS ${database}.moods_of_events ${on_cluster}
TO ${database}.moods
AS SELECT mood, count() AS rows FROM ${database}.events_raw GROUP BY mood;
""",
    down=None,
)
"""What a later version may bring: a column, and a roll-up over it."""


async def test_a_column_and_a_table_come_by_migration_while_events_do(
    stage: Stage, tmp_path: Path
) -> None:
    """The sink names the columns that it fills; the others have their defaults."""
    sink = SinkProcess(stage, tmp_path)
    await sink.start()
    try:
        async with producing(stage) as producer:
            await stage.until("SELECT count() > 2000 FROM events_raw", 1)
            before = await stage.one("SELECT count() FROM events_raw")
            await asyncio.to_thread(_migrate, stage)
            await stage.until("SELECT sum(rows) > 1000 FROM moods", 1)
        await stage.until("SELECT count() FROM events_raw", producer.count)
    finally:
        await sink.kill()
    assert await stage.one("SELECT countIf(mood = 'calm') FROM events_raw") == producer.count
    await stage.until("SELECT sum(rows) FROM ingest_ledger", producer.count)
    assert await stage.one("SELECT sum(rows) FROM moods") <= producer.count - before


def _migrate(stage: Stage) -> None:
    client = open_client(parse_url(stage.url), with_database=False)
    try:
        migrate_up(client, stage.broker.namespace, migrations=(*load_migrations(), MOOD))
    finally:
        client.close()
