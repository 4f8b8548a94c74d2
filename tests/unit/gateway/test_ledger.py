"""A gateway tells each minute's counts once it is over, and keeps what the log does not take."""

from __future__ import annotations

import asyncio

import pytest

import gateway.ledger
from gateway.ledger import MINUTE_MS, SETTLING_MS, Ledger
from schemas.delivery import LedgerEntry
from streams.producer import UnavailableError
from streams.topics import GATEWAY_LEDGER
from tests.gateway_fakes import NOW_MS, World

MINUTE = NOW_MS - NOW_MS % MINUTE_MS
TOPIC = "playback.events.v1"


@pytest.fixture
def ledger(world: World) -> Ledger:
    return Ledger(world.publisher, gateway="gateway-test", clock=world.clock)


def told(world: World) -> list[tuple[int, int, int]]:
    """Minute, accepted and refused of each entry in the log."""
    entries = world.publisher.values(GATEWAY_LEDGER)
    assert all(isinstance(entry, LedgerEntry) and entry.topic == TOPIC for entry in entries)
    return [(entry.minute_ms, entry.accepted, entry.refused) for entry in entries]


async def test_a_minute_is_told_once_and_only_when_it_is_over(world: World, ledger: Ledger) -> None:
    ledger.count(TOPIC, "accepted", 2, MINUTE)
    ledger.count(TOPIC, "accepted", 3, MINUTE + MINUTE_MS - 1)
    ledger.count(TOPIC, "refused", 1, MINUTE + MINUTE_MS)
    await ledger.publish_until(MINUTE - 1)
    assert told(world) == []
    await ledger.publish_until(MINUTE)
    await ledger.publish_until(MINUTE)
    assert told(world) == [(MINUTE, 5, 0)]
    world.clock.now_ms = MINUTE + MINUTE_MS + 1
    await ledger.stop()
    assert told(world) == [(MINUTE, 5, 0), (MINUTE + MINUTE_MS, 0, 1)]


async def test_by_itself_it_waits_until_a_minute_has_settled(
    world: World, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway.ledger, "TICK_S", 0.001)
    ledger.count(TOPIC, "accepted", 1, MINUTE)
    world.clock.now_ms = MINUTE + MINUTE_MS + SETTLING_MS - 1
    running = asyncio.create_task(ledger.run())
    await asyncio.sleep(0.05)
    assert told(world) == []
    world.clock.now_ms += 1
    async with asyncio.timeout(5):
        while not told(world):  # noqa: ASYNC110 - it polls
            await asyncio.sleep(0.001)
    running.cancel()
    assert told(world) == [(MINUTE, 1, 0)]


async def test_what_the_log_does_not_take_is_told_later(world: World, ledger: Ledger) -> None:
    ledger.count(TOPIC, "accepted", 1, MINUTE)
    world.publisher.away = UnavailableError("not_stored", "away")
    await ledger.publish_until(MINUTE)
    ledger.count(TOPIC, "accepted", 1, MINUTE)
    world.publisher.away = None
    await ledger.publish_until(MINUTE)
    assert told(world) == [(MINUTE, 2, 0)]
