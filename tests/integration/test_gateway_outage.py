"""The broker goes away under load and comes back: every 202 holds, and health says so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infra.kafka.launch import prepare
from streams.broker import Broker
from streams.topics import PLAYBACK_EVENTS
from tests.integration.broker import Broker as Kafka
from tests.integration.broker import runtime_folder
from tests.integration.gateways import RunningGateway, gateway_on, session_bearer, stored_values
from tests.integration.test_gateway import until
from tests.unit.gateway.wire_events import an_event

AWAY_S_MAX = 5
BACK_S_MAX = 10


@pytest.fixture
async def own_kafka(tmp_path: Path) -> AsyncIterator[Kafka]:
    """A broker that this test may kill."""
    launch = await asyncio.to_thread(
        lambda: prepare(tmp_path / "kafka", 0, False, runtime=runtime_folder())
    )
    kafka = Kafka(launch, tmp_path / "kafka.log")
    await kafka.start()
    yield kafka
    await asyncio.to_thread(kafka.stop)


class Poster:
    """Posts one event after the other and keeps what each met."""

    def __init__(self, running: RunningGateway) -> None:
        self._client = running.client
        self._session_id, self._headers = session_bearer(running.world)
        self.acknowledged: set[int] = set()
        self.unavailable: list[tuple[int, str, str]] = []
        self._next = 0

    async def run(self) -> None:
        while True:
            await self.post()

    async def post(self) -> int:
        sequence, self._next = self._next, self._next + 1
        event = an_event(self._session_id, sequence=sequence)
        async with self._client.post("/v1/events", json=event, headers=self._headers) as answer:
            if answer.status == 202:
                self.acknowledged.add(sequence)
            else:
                problem = await answer.json(content_type=None)
                retry = answer.headers.get("Retry-After", "")
                self.unavailable.append((answer.status, problem.get("outcome", ""), retry))
            return answer.status


@pytest.mark.timeout(150)
async def test_an_outage_is_told_and_loses_nothing_acknowledged(
    own_kafka: Kafka, tmp_path: Path
) -> None:
    broker = Broker(bootstrap=own_kafka.bootstrap)
    async with gateway_on(broker, tmp_path) as running:
        poster = Poster(running)

        async def answers(path: str, status: int) -> bool:
            async with running.client.get(path) as answer:
                return answer.status == status

        posting = [asyncio.create_task(poster.run()) for _ in range(4)]
        await until(lambda: _enough(poster, 200), 30)
        await asyncio.to_thread(own_kafka.kill)
        before = len(poster.acknowledged)

        assert await until(lambda: answers("/readyz", 503), 15) <= AWAY_S_MAX
        assert await answers("/livez", 200)
        await until(lambda: _refused(poster, 4), 15)
        in_the_outage = len(poster.acknowledged)
        assert in_the_outage - before <= 4, "what was on its way when the broker died"

        await own_kafka.start()
        back_at_s = time.monotonic()
        assert await until(lambda: answers("/readyz", 200), 30) <= BACK_S_MAX
        await until(lambda: _enough(poster, in_the_outage + 50), 20)
        assert time.monotonic() - back_at_s <= BACK_S_MAX + 5
        for task in posting:
            task.cancel()
        await asyncio.gather(*posting, return_exceptions=True)

    assert all(
        status == 503 and outcome and int(retry) >= 1
        for status, outcome, retry in poster.unavailable
    )
    stored = [event.sequence for event in await stored_values(broker, PLAYBACK_EVENTS)]
    assert poster.acknowledged <= set(stored)
    assert len(stored) == len(set(stored)), "the idempotent producer repeats nothing"


async def _enough(poster: Poster, count: int) -> bool:
    return len(poster.acknowledged) >= count


async def _refused(poster: Poster, count: int) -> bool:
    return len(poster.unavailable) >= count
