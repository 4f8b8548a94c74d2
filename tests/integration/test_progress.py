"""A worker that stands still is found, on the real broker; one that works or idles is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import faust
import pytest
from prometheus_client import CollectorRegistry

from agents.shell import ShellPorts, Work, serve
from infra.progress import faust_offsets, watch_progress
from infra.worker import WorkerPlan, faust_app
from schemas.errors import StopWorkerError
from schemas.events import Play, PlaybackEvent
from streams.admin import apply_topics
from streams.broker import Broker
from streams.clock import system_clock
from streams.metrics import WorkerMetrics
from streams.producer import Publisher
from streams.records import Record
from streams.topics import PLAYBACK_EVENTS

SESSION = "01930000-0000-7000-8000-000000000001"
STUCK_AFTER_S, INTERVAL_S = 3.0, 0.3


class Gate:
    """Lets every record through, or holds them all."""

    def __init__(self) -> None:
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.passed = 0

    def handle(self, record: Record[PlaybackEvent]) -> Work:
        return self._pass()

    async def _pass(self) -> None:
        await self.is_open.wait()
        self.passed += 1


@pytest.fixture
async def publisher(broker: Broker) -> AsyncIterator[Publisher]:
    await apply_topics(broker, topics=[PLAYBACK_EVENTS])
    publisher = Publisher(broker, client_id="test")
    await publisher.start()
    yield publisher
    await publisher.stop()


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def app(
    broker: Broker, publisher: Publisher, gate: Gate, tmp_path: Path
) -> AsyncIterator[faust.App]:
    app = faust_app(
        WorkerPlan(
            name="gate",
            broker=broker,
            data_folder=tmp_path / "faust",
            announce=tmp_path / "announce.json",
        )
    )
    ports = ShellPorts(
        broker=broker,
        publisher=publisher,
        clock=system_clock,
        metrics=WorkerMetrics(CollectorRegistry()),
        halt=lambda _: None,
    )
    serve(app, PLAYBACK_EVENTS, gate.handle, ports)
    await app.start()
    yield app
    await app.stop()


async def publish(publisher: Publisher, sequence: int) -> None:
    event = Play(session_id=SESSION, sequence=sequence, at=datetime(2026, 11, 22, tzinfo=UTC))
    await publisher.publish(PLAYBACK_EVENTS, SESSION, event)


async def until(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - plain state
            await asyncio.sleep(0.02)


async def test_a_worker_is_halted_only_when_records_wait_in_vain(
    app: faust.App, publisher: Publisher, gate: Gate
) -> None:
    halted: list[BaseException] = []
    watching = asyncio.create_task(
        watch_progress(
            lambda: faust_offsets(app),
            publisher.is_reachable,
            halted.append,
            stuck_after_s=STUCK_AFTER_S,
            interval_s=INTERVAL_S,
        )
    )
    try:
        for sequence in range(20):
            await publish(publisher, sequence)
            await asyncio.sleep(0.1)
        await until(lambda: gate.passed == 20)
        await asyncio.sleep(STUCK_AFTER_S + 2 * INTERVAL_S)
        assert halted == []
        gate.is_open.clear()
        await publish(publisher, 20)
        await until(lambda: bool(halted))
    finally:
        watching.cancel()
        gate.is_open.set()
    assert isinstance(halted[0], StopWorkerError)
    assert PLAYBACK_EVENTS.name in str(halted[0])
