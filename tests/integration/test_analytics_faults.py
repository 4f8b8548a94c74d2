"""Whatever is killed on the way: every acknowledged event is there exactly once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agents.analytics.chunks import ChunkLimits
from agents.analytics.replay import ReplayProgress, ReplayState, begin, replay_topic
from agents.analytics.sink import SinkLimits
from agents.analytics.windows import Window
from schemas.events import Bandwidth, Heartbeat
from streams.broker import Broker
from streams.topics import PLAYBACK_EVENTS
from tests.integration.analytics_stage import (
    QUICK,
    STATE_KEY,
    SinkProcess,
    Stage,
    a_killable_stage,
    a_session_id,
    eventually,
)
from tests.integration.engine import start_clickhouse
from tests.integration.playback import an_event

STORED = "SELECT count() FROM events_raw"
AT_WORK_S_MAX = 5.0
AUDIT = (
    "SELECT count(), uniqExact(session_id, source, sequence), uniqExact(topic, kafka_partition,"
    " kafka_offset), (SELECT sum(rows_in) FROM events_by_minute), (SELECT sum(rows) FROM"
    " ingest_ledger), (SELECT count() FROM events) FROM events_raw"
)


@pytest.fixture
async def stage(broker: Broker, tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_killable_stage(broker, tmp_path) as stage:
        yield stage


def batches(sessions: int, each: int, seed: int) -> list[list[Any]]:
    """Events of some sessions in batches, a fifth of which is sent again later."""
    random = Random(seed)
    names = [a_session_id() for _ in range(sessions)]
    all_batches: list[list[Any]] = []
    for start in range(0, each, 25):
        for name in names:
            kinds = (Heartbeat, Bandwidth)
            batch = [an_event(kinds[n % 2], name, n) for n in range(start, start + 25)]
            all_batches.append(batch)
            if random.random() < 0.2:
                all_batches.append(random.choice(all_batches))
    return all_batches


async def assert_exactly(stage: Stage, count: int, timeout_s: float = 90) -> None:
    await stage.until("SELECT least(5000, count()) FROM events_raw", count, timeout_s)
    await asyncio.sleep(1.5)  # what would come twice comes now
    assert await stage.ask(AUDIT) == [[count] * 6]


async def test_a_sink_killed_again_and_again_loses_and_doubles_nothing(
    stage: Stage, tmp_path: Path
) -> None:
    """kill -9 at random moments of fetching, inserting and committing."""
    random = Random(11)
    sink = SinkProcess(stage, tmp_path)
    await sink.start()

    async def produce() -> None:
        for batch in batches(10, 500, 5):
            await stage.send(*batch)
            await asyncio.sleep(0.05)

    producing = asyncio.create_task(produce())
    kills = 0
    while not producing.done() or kills < 5:
        await _until_it_stores(stage)
        await asyncio.sleep(random.uniform(0, 1.5))
        await sink.kill()
        kills += 1
        await sink.start()
    await producing
    try:
        await assert_exactly(stage, 5_000)
    finally:
        await sink.kill()


async def _until_it_stores(stage: Stage) -> None:
    """Or until it has had time enough: everything may be stored already."""
    before = await stage.one(STORED)

    async def goes_on() -> bool:
        return bool(await stage.one(STORED) > before)

    with suppress(TimeoutError):
        await eventually(goes_on, AT_WORK_S_MAX)


async def test_clickhouse_killed_in_mid_insert_comes_back_to_every_row_once(stage: Stage) -> None:
    """The sink waits with bounded memory and goes on by itself."""
    limits = SinkLimits(
        chunks=ChunkLimits(records_max=200, bucket_ms=200, grace_ms=50),
        bucket_ms_max=200,
        buffer_bytes_max=256 << 10,
    )
    engine = stage.engine
    held: list[int] = []
    async with stage.sinking(limits) as sink:
        sending = batches(10, 500, 6)
        third = len(sending) // 3
        for round_number, part in enumerate((sending[:third], sending[third:])):
            for batch in part:
                await stage.send(*batch)
                held.append(sink.buffered_bytes)
            await engine.stop(signal.SIGKILL)
            await asyncio.sleep(2 + round_number)
            held.append(sink.buffered_bytes)
            engine = await start_clickhouse(engine.home, engine.port)
            stage.engine = engine
        await assert_exactly(stage, 5_000)
    # 16 partitions, each with at most one fetch of the client's beyond the bound.
    assert max(held) < 4 << 20
    assert stage.halted == []


async def test_a_replay_adds_what_is_missing_and_nothing_else(stage: Stage) -> None:
    sending = batches(4, 200, 7)
    async with stage.sinking(QUICK):
        for batch in sending:
            await stage.send(*batch)
        await assert_exactly(stage, 800)
    heartbeats = await stage.one("SELECT count() FROM events WHERE type = 'heartbeat'")
    await _execute(stage, "DELETE FROM events_raw WHERE type = 'heartbeat' AND sequence < 50")
    missing = heartbeats - await stage.one("SELECT count() FROM events WHERE type = 'heartbeat'")
    assert missing == 100

    async def replay(*, dry_run: bool, window: Window | None = None) -> ReplayProgress:
        seen: list[ReplayState] = []
        result = await replay_topic(
            stage.broker,
            stage.store,
            PLAYBACK_EVENTS.name,
            await begin(stage.broker, PLAYBACK_EVENTS.name, window or Window(), group="none"),
            state_key=STATE_KEY,
            dry_run=dry_run,
            keep=seen.append,
        )
        assert (seen[-1].progress, seen[-1].left) == (result, ())
        assert result.read == result.total
        return result

    assert (await replay(dry_run=True)).added == missing
    assert (await replay(dry_run=False, window=Window(to_ms=1))).total == 0
    assert (await replay(dry_run=False, window=Window(from_ms=1))).added == missing
    assert (await replay(dry_run=False)).added == 0
    assert await stage.one("SELECT count() FROM events") == 800
    assert await stage.one("SELECT count() FROM events_raw") == 800


async def _execute(stage: Stage, sql: str) -> None:
    await stage.store._post({}, sql.encode(), 30)
