"""The session fold on a real broker: late, doubled and interrupted, and still the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from agents.analytics.fold_agent import FoldAgent
from agents.analytics.session import fold
from agents.shell import ShellPorts
from infra.worker import WorkerPlan, faust_app
from schemas import codec
from schemas.catalog import Title
from schemas.watching import SessionSummary, Watch
from streams.admin import apply_topics
from streams.broker import Broker
from streams.clock import system_clock
from streams.metrics import WorkerMetrics
from streams.producer import Publisher
from streams.topics import (
    CATALOG_TITLES,
    PLAYBACK_BANDWIDTH,
    PLAYBACK_EVENTS,
    SESSION_FOLDS,
    SESSION_SUMMARIES,
    WATCHES,
)
from streams.view import View
from tests.integration.analytics_stage import STATE_KEY, a_session_id, eventually
from tests.integration.playback import play_session

DURATION_MS = 50_000
TOPICS = (
    PLAYBACK_EVENTS,
    PLAYBACK_BANDWIDTH,
    SESSION_SUMMARIES,
    SESSION_FOLDS,
    WATCHES,
    CATALOG_TITLES,
)


class House:
    """A broker with a catalog, and views of what the fold says."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        self.broker, self.folder = broker, folder
        self.publisher = Publisher(
            broker, client_id="test", state_key=STATE_KEY, delivery_timeout_ms=60_000
        )
        self.summaries: View[SessionSummary] = View(broker, SESSION_SUMMARIES, clock=system_clock)
        self.watches: list[Watch] = []
        self._watches: View[Watch] = View(
            broker, WATCHES, clock=system_clock, keep=False, on_record=self._note
        )
        self.halted: list[BaseException] = []

    def _note(self, record: Any) -> None:
        self.watches.append(record.value)

    async def start(self) -> None:
        await apply_topics(self.broker, topics=TOPICS)
        await self.publisher.start()
        title = Title(content_id="content", title="A title", duration_ms=DURATION_MS)
        await self.publisher.publish(CATALOG_TITLES, "content", title)
        await self.summaries.start()
        await self._watches.start()

    async def stop(self) -> None:
        await self._watches.stop()
        await self.summaries.stop()
        await self.publisher.stop()

    async def send(self, events: list[Any]) -> None:
        for event in events:
            is_measurement = event.__struct_config__.tag == "bandwidth"
            topic = PLAYBACK_BANDWIDTH if is_measurement else PLAYBACK_EVENTS
            await self.publisher.publish_many(topic, [(event.session_id, codec.encode(event))])

    @asynccontextmanager
    async def folding(self) -> AsyncIterator[FoldAgent]:
        ports = ShellPorts(
            broker=self.broker,
            publisher=self.publisher,
            clock=system_clock,
            metrics=WorkerMetrics(CollectorRegistry()),
            halt=self.halted.append,
            state_key=STATE_KEY,
        )
        agent = FoldAgent(ports)
        plan = WorkerPlan(
            name="fold",
            broker=self.broker,
            data_folder=self.folder / "faust",
            announce=self.folder / "announce.json",
        )
        app = faust_app(plan)
        await agent.start()
        agent.attach(app)
        await app.start()
        try:
            yield agent
        finally:
            await app.stop()
            await agent.stop()

    async def until_folded(self, session_id: str, events: list[Any]) -> SessionSummary:
        expected = fold(events, DURATION_MS)

        async def is_there() -> bool:
            return self.summaries.get(session_id) == expected

        try:
            await eventually(is_there, 40)
        except TimeoutError:
            raise AssertionError(f"{self.summaries.get(session_id)}\nnot\n{expected}") from None
        assert expected is not None
        return expected


@pytest.fixture
async def house(broker: Broker, tmp_path: Path) -> AsyncIterator[House]:
    house = House(broker, tmp_path)
    await house.start()
    yield house
    await house.stop()


async def test_events_that_come_late_and_twice_are_folded_as_if_in_order(house: House) -> None:
    session = a_session_id()
    events = play_session(session)
    arriving = events + events[2:5]
    Random(3).shuffle(arriving)
    async with house.folding():
        await house.send(arriving)
        summary = await house.until_folded(session, events)
        await asyncio.sleep(0.5)
    assert summary.time_to_first_frame_ms == 500
    assert (summary.rebuffer_count, summary.rebuffer_duration_ms) == (1, 2000)
    steps = {(watch.step, watch.bucket) for watch in house.watches}
    assert {step for step, _ in steps} >= {"started", "progressed", "completed"}
    assert len(house.watches) == len(steps), "each step once"
    assert house.halted == []


async def test_a_fold_goes_on_where_it_was_stopped(house: House) -> None:
    session = a_session_id()
    events = play_session(session)
    async with house.folding():
        await house.send(events[:5])
        await house.until_folded(session, events[:5])
    async with house.folding():
        await house.send([*events[1:3], *events[6:], events[5]])
        await house.until_folded(session, events)
    assert len({(w.step, w.bucket) for w in house.watches}) == len(house.watches)
