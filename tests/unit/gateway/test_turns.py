"""Turns: short, the urgent first, and with rests between them while licenses are slow."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from gateway.admission import Urgency
from gateway.turns import (
    LATE_MS_MAX,
    LICENSE_MS_MAX,
    REST_HALF_LIFE_S,
    REST_MS_FIRST,
    REST_MS_MAX,
    Turns,
)

SLOW_MS = LICENSE_MS_MAX + 50


class Clock:
    """Set by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


async def turns_of_a_loop(late_ms: float, clock: Clock) -> Turns:
    """After many turns that each began so much later than they were due."""
    turns = Turns(turn_bytes=1, monotonic=clock)
    for _ in range(40):
        await turns.wait("bulk", 1)
        clock.now_s += late_ms / 1000
        await asyncio.sleep(0)
    return turns


async def test_events_rest_while_licenses_are_slow_and_the_processor_is_missing() -> None:
    clock = Clock()
    turns = await turns_of_a_loop(LATE_MS_MAX + 5, clock)
    assert turns.rest_ms() == 0
    rests_ms = []
    for _ in range(20):
        clock.now_s += SLOW_MS / 1000
        turns.saw_license(SLOW_MS)
        rests_ms.append(turns.rest_ms())
    assert rests_ms[0] == REST_MS_FIRST
    assert rests_ms == sorted(rests_ms)
    assert rests_ms[-1] == REST_MS_MAX
    clock.now_s += REST_HALF_LIFE_S
    assert turns.rest_ms() == REST_MS_MAX / 2
    clock.now_s += 10 * REST_HALF_LIFE_S
    assert turns.rest_ms() == 0


async def test_licenses_that_are_slow_for_another_reason_cost_no_event() -> None:
    """The license agent is what is slow: this process has nothing to give."""
    clock = Clock()
    turns = await turns_of_a_loop(LATE_MS_MAX / 2, clock)
    for _ in range(20):
        clock.now_s += 2
        turns.saw_license(2_000)
    assert turns.rest_ms() == 0


async def test_what_was_asked_before_the_rest_grew_does_not_count_against_it() -> None:
    clock = Clock()
    turns = await turns_of_a_loop(LATE_MS_MAX + 5, clock)
    for _ in range(50):
        turns.saw_license(SLOW_MS)  # all asked at once
    assert turns.rest_ms() == REST_MS_FIRST


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 3_000)), max_size=60))
def test_the_rest_keeps_its_bounds(licenses: list[tuple[float, float]]) -> None:
    clock = Clock()
    turns = asyncio.run(turns_of_a_loop(LATE_MS_MAX + 5, clock))
    for pause_s, took_ms in licenses:
        clock.now_s += pause_s
        turns.saw_license(took_ms)
        assert 0 <= turns.rest_ms() <= REST_MS_MAX


async def test_between_two_turns_events_wait_for_the_rest_to_be_over() -> None:
    clock = Clock()
    turns = await turns_of_a_loop(LATE_MS_MAX + 5, clock)
    for _ in range(20):
        clock.now_s += SLOW_MS / 1000
        turns.saw_license(SLOW_MS)
    await turns.wait("bulk", 1)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    await asyncio.wait_for(asyncio.gather(*(turns.wait("bulk", 1) for _ in range(2))), 5)
    assert loop.time() - began_s >= 1.9 * REST_MS_MAX / 1000


async def test_a_turn_reads_no_more_than_it_may_and_the_urgent_first() -> None:
    turns = Turns(turn_bytes=10)
    read: list[tuple[str, int]] = []
    turn_number = 0

    async def read_one(urgency: Urgency) -> None:
        await turns.wait(urgency, 6)
        read.append((urgency, turn_number))

    readers = [
        asyncio.create_task(read_one(urgency))
        for urgency in ("bulk", "bulk", "bulk", "interactions", "measurements", "interactions")
    ]
    while not all(reader.done() for reader in readers):
        await asyncio.sleep(0)
        turn_number += 1
    order = [urgency for urgency, _ in read]
    assert order == ["bulk", "bulk", "interactions", "interactions", "measurements", "bulk"]
    turns_used = [turn for _, turn in read]
    assert max(turns_used.count(turn) for turn in turns_used) <= 2


async def test_who_goes_away_while_waiting_for_a_turn_is_passed_over() -> None:
    turns = Turns(turn_bytes=1)
    await turns.wait("bulk", 5)
    gone = asyncio.create_task(turns.wait("bulk", 5))
    stays = asyncio.create_task(turns.wait("bulk", 5))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait_for(stays, 5)


async def test_where_the_first_waits_too_long_no_more_of_its_class_come_in() -> None:
    """Given bulk that waits for its turn, when half a second is over, then bulk alone is late."""
    now_s = 100.0
    turns = Turns(turn_bytes=1, monotonic=lambda: now_s)
    readers = [asyncio.create_task(turns.wait("bulk", 5)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not turns.is_late("bulk")
    now_s += 0.6
    assert turns.is_late("bulk")
    assert not turns.is_late("measurements")
    await asyncio.wait_for(asyncio.gather(*readers), 5)
    assert not turns.is_late("bulk"), "nobody waits"
