"""The gateway's own clock is set, by hours or by years, while it runs (T15)."""

from __future__ import annotations

import json

import aiohttp
import pytest

from gateway.attempts import Attempts
from gateway.problems import ProblemError
from gateway.readiness import IDLE_MS, Readiness
from gateway.region import Regions
from streams.clock import has_passed
from streams.topics import SESSION_LEASES
from tests.gateway_fakes import MemoryClock, MemoryPublisher, World
from tests.unit.gateway.wire_events import an_event, bearer

HOUR_MS = 3_600_000
JUMPS_MS = (-400 * 24 * HOUR_MS, -2 * HOUR_MS, -30_000, 30_000, 2 * HOUR_MS, 400 * 24 * HOUR_MS)
BACK_MS = [jump_ms for jump_ms in JUMPS_MS if jump_ms < 0]


@pytest.mark.parametrize("jump_ms", JUMPS_MS)
async def test_a_jump_there_and_back_leaves_nothing_behind(
    world: World, client: aiohttp.ClientSession, jump_ms: int
) -> None:
    """Meanwhile tokens may be of another time; nothing breaks, and then all is as before."""
    claims = world.session_claims()
    headers = {"Content-Type": "application/json", **bearer(world.session_token(claims))}

    async def report() -> int:
        body = json.dumps(an_event(claims.sid)).encode()
        async with client.post("/v1/events", data=body, headers=headers) as answer:
            return answer.status

    assert await report() == 202
    world.clock.now_ms += jump_ms
    assert await report() in {202, 401}
    world.clock.now_ms -= jump_ms
    assert await report() == 202
    async with client.get("/readyz") as answer:
        assert answer.status == 200


@pytest.mark.parametrize("jump_ms", BACK_MS)
async def test_a_session_goes_on_telling_that_it_is_alive(
    world: World, client: aiohttp.ClientSession, jump_ms: int
) -> None:
    claims = world.session_claims()
    headers = {"Content-Type": "application/json", **bearer(world.session_token(claims))}
    for _ in range(2):
        body = json.dumps(an_event(claims.sid)).encode()
        async with client.post("/v1/events", data=body, headers=headers) as answer:
            assert answer.status == 202
        world.clock.now_ms += jump_ms
        jump_ms = 0
    leases = world.publisher.values(SESSION_LEASES)
    assert [lease.session_id for lease in leases] == [claims.sid, claims.sid]


@pytest.mark.parametrize("jump_ms", BACK_MS)
async def test_a_broker_that_goes_away_after_it_is_missed(jump_ms: int) -> None:
    clock = MemoryClock()
    publisher = MemoryPublisher(clock)
    readiness = Readiness(publisher, clock=clock)
    publisher.last_acknowledged_at_ms = clock.now_ms
    assert readiness.is_ready
    clock.now_ms += jump_ms
    await readiness.probe()
    assert readiness.is_ready  # it was asked again, and answered
    clock.now_ms += IDLE_MS
    assert readiness.heard_ms_ago() == IDLE_MS


@pytest.mark.parametrize("jump_ms", BACK_MS)
def test_tries_come_back_as_fast_as_ever(jump_ms: int) -> None:
    clock = MemoryClock()
    tried = Attempts(Regions(None, "DE"), tries_max=1, try_every_ms=10_000, clock=clock)
    tried.begin("192.0.2.1").failed()
    clock.now_ms += jump_ms
    with pytest.raises(ProblemError):
        tried.begin("192.0.2.1")
    clock.now_ms += 10_000
    tried.begin("192.0.2.1")


@pytest.mark.parametrize(
    ("now_ms", "is_due"), [(99, True), (100, False), (109, False), (110, True)]
)
def test_what_is_due_every_so_often_does_not_wait_for_a_clock_that_was_set_back(
    now_ms: int, is_due: bool
) -> None:
    assert has_passed(10, 100, now_ms) is is_due
