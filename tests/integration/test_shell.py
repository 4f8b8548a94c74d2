"""The Faust shell on the real broker: order, acknowledgment after the work, dead letters."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from agents.shell import ShellPorts, Work, serve
from infra.worker import WorkerPlan, faust_app
from schemas.errors import InvalidMessageError
from schemas.events import Pause, Play, PlaybackEvent
from streams.admin import apply_topics
from streams.broker import Broker
from streams.clock import system_clock
from streams.metrics import WorkerMetrics
from streams.producer import Publisher
from streams.records import Record
from streams.topics import PLAYBACK_EVENTS
from streams.view import View

SESSION = "01930000-0000-7000-8000-000000000001"


def a_play(sequence: int) -> Play:
    return Play(session_id=SESSION, sequence=sequence, at=datetime(2026, 11, 22, tzinfo=UTC))


class Collector:
    """Notes what it was given; an event of sequence 13 raises, one of 14 is invalid."""

    def __init__(self) -> None:
        self.decided: list[int] = []
        self.done: list[int] = []
        self.waiting = asyncio.Event()
        self.waiting.set()

    def handle(self, record: Record[PlaybackEvent]) -> Work | None:
        sequence = record.value.sequence
        self.decided.append(sequence)
        if sequence == 13:
            raise ZeroDivisionError("a bug")
        if isinstance(record.value, Pause):
            return None
        return self._work(sequence)

    async def _work(self, sequence: int) -> None:
        await self.waiting.wait()
        if sequence == 14:
            raise InvalidMessageError("schema", "found out later")
        self.done.append(sequence)


async def until(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - the condition is plain state of the collector
            await asyncio.sleep(0.02)


class Running:
    """A worker in this process that can be stopped and started again."""

    def __init__(self, broker: Broker, publisher: Publisher, folder: Path) -> None:
        self.collector = Collector()
        self.halted: list[BaseException] = []
        self._broker, self._publisher, self._folder = broker, publisher, folder

    async def start(self) -> None:
        plan = WorkerPlan(
            name="collector",
            broker=self._broker,
            data_folder=self._folder / "faust",
            announce=self._folder / "announce.json",
        )
        self._app = faust_app(plan)
        serve(
            self._app,
            PLAYBACK_EVENTS,
            self.collector.handle,
            ShellPorts(
                broker=self._broker,
                publisher=self._publisher,
                clock=system_clock,
                metrics=WorkerMetrics(CollectorRegistry()),
                halt=self.halted.append,
            ),
        )
        await self._app.start()

    async def stop(self) -> None:
        await self._app.stop()


@pytest.fixture
async def publisher(broker: Broker) -> AsyncIterator[Publisher]:
    publisher = Publisher(broker, client_id="test")
    await publisher.start()
    yield publisher
    await publisher.stop()


@pytest.fixture
async def running(broker: Broker, publisher: Publisher, tmp_path: Path) -> AsyncIterator[Running]:
    await apply_topics(broker, topics=[PLAYBACK_EVENTS])
    running = Running(broker, publisher, tmp_path)
    await running.start()
    yield running
    await running.stop()


async def test_records_are_decided_in_order_and_bad_ones_go_to_dead_letters(
    running: Running, publisher: Publisher, broker: Broker
) -> None:
    for sequence in range(20):
        await publisher.publish(PLAYBACK_EVENTS, SESSION, a_play(sequence))
    await publisher.publish(PLAYBACK_EVENTS, SESSION, b"not json")
    await publisher.publish(PLAYBACK_EVENTS, SESSION, b'{"type":"from-the-future"}')
    await publisher.publish(PLAYBACK_EVENTS, SESSION, a_play(20))
    await until(lambda: 20 in running.collector.done)
    assert running.collector.decided == list(range(21))
    assert set(running.collector.done) == set(range(21)) - {13, 14}
    reasons: list[str] = []
    view: View[bytes] = View(
        broker,
        PLAYBACK_EVENTS.dead_letters,
        clock=system_clock,
        keep=False,
        on_record=lambda record: reasons.append(record.headers["reason"].decode()),
    )
    await view.start()
    assert await view.wait_until(lambda: len(reasons) == 3, 5_000)
    await view.stop()
    assert sorted(reasons) == ["handler-failed", "not-json", "schema"]
    assert running.halted == []


async def test_what_was_not_done_comes_again_after_a_restart(
    running: Running, publisher: Publisher
) -> None:
    running.collector.waiting.clear()
    for sequence in range(3):
        await publisher.publish(PLAYBACK_EVENTS, SESSION, a_play(sequence))
    await until(lambda: len(running.collector.decided) == 3)
    started_s = time.monotonic()
    await running.stop()
    assert time.monotonic() - started_s < 8
    running.collector = Collector()
    await running.start()
    await until(lambda: len(running.collector.done) == 3)
    assert running.collector.decided == [0, 1, 2]
