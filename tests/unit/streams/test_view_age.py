"""How old a view is: by a clock that nobody sets, since an old one must deny (T15, T26)."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import TopicPartition

from streams.broker import Broker
from streams.topics import REVOCATIONS
from streams.view import View
from tests.gateway_fakes import NOW_MS, MemoryClock

PLACE = TopicPartition(REVOCATIONS.name, 0)
HOUR_MS = 3_600_000


class AtItsEnd:
    """A consumer that has read everything, as of its last poll."""

    def __init__(self, polled_ms: int) -> None:
        self.polled_ms = polled_ms

    def last_poll_timestamp(self, _: TopicPartition) -> int:
        return self.polled_ms

    def highwater(self, _: TopicPartition) -> int:
        return 7

    async def position(self, _: TopicPartition) -> int:
        return 7


class Followed:
    """A view, the consumer below it and its clocks."""

    def __init__(self) -> None:
        self.wall, self.steady = MemoryClock(), MemoryClock(5_000)
        broker = Broker(bootstrap="nowhere:9092")
        self.view: View[Any] = View(broker, REVOCATIONS, clock=self.wall, steady=self.steady)
        self.consumer: Any = AtItsEnd(NOW_MS)
        self.view._consumer = self.consumer

    def pass_time(self, passed_ms: int, *, set_by_ms: int = 0) -> None:
        self.steady.now_ms += passed_ms
        self.wall.now_ms += passed_ms + set_by_ms

    async def poll(self) -> None:
        self.consumer.polled_ms = self.wall.now_ms
        await self.view._note_end([PLACE])


@pytest.mark.parametrize("set_by_ms", [0, -2 * HOUR_MS, 2 * HOUR_MS, -400 * 24 * HOUR_MS])
async def test_a_view_that_is_not_followed_grows_old_whatever_the_clock_is_set_to(
    set_by_ms: int,
) -> None:
    followed = Followed()
    await followed.poll()
    assert followed.view.age_ms() == 0
    followed.pass_time(31_000, set_by_ms=set_by_ms)
    assert followed.view.age_ms() == 31_000
    await followed.poll()
    assert followed.view.age_ms() == 0


async def test_a_view_is_as_old_as_its_last_poll() -> None:
    followed = Followed()
    await followed.poll()
    followed.pass_time(400)
    await followed.view._note_end([PLACE])
    assert followed.view.age_ms() == 400
