"""Who is halted for standing still, and who only waits for something that is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiokafka.errors import KafkaConnectionError

from agents.analytics.agent import AnalyticsAgent
from infra.progress import Offsets, OwnReader, watch_progress
from schemas.errors import StopWorkerError


class World:
    """A worker that stands still, and what it needs."""

    def __init__(self, *, is_unhindered: bool = True, answers: bool = True) -> None:
        self.hindrance_count = 0
        self.is_there, self.answers = is_unhindered, answers
        self.end = 5

    async def offsets(self) -> Offsets:
        if not self.answers:
            raise KafkaConnectionError("away")
        self.end += 1
        return {"p": 3}, {"p": self.end}

    async def is_unhindered(self) -> bool:
        self.hindrance_count += 1
        return self.is_there


async def halted_by(world: World, enough: Callable[[], bool]) -> list[BaseException]:
    halted: list[BaseException] = []
    watching = asyncio.create_task(
        watch_progress(
            world.offsets,
            world.is_unhindered,
            halted.append,
            stuck_after_s=0.02,
            interval_s=0.005,
        )
    )
    async with asyncio.timeout(10):
        while not (halted or enough()):  # noqa: ASYNC110 - plain state
            await asyncio.sleep(0.005)
    watching.cancel()
    return halted


async def test_a_worker_that_stands_still_is_halted() -> None:
    (halt, *_) = await halted_by(World(), lambda: False)
    assert isinstance(halt, StopWorkerError)
    assert "nothing is committed" in str(halt)


async def test_a_consumer_that_does_not_answer_is_halted() -> None:
    (halt, *_) = await halted_by(World(answers=False), lambda: False)
    assert "does not answer" in str(halt)


async def test_nobody_is_halted_for_what_is_away() -> None:
    for world in (World(is_unhindered=False), World(is_unhindered=False, answers=False)):
        assert await halted_by(world, lambda w=world: w.hindrance_count > 3) == []  # type: ignore[misc]


def test_the_sink_is_watched_by_its_own_offsets() -> None:
    assert issubclass(AnalyticsAgent, OwnReader)
