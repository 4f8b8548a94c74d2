from __future__ import annotations

import asyncio
import time
from pathlib import Path

import aiohttp
import msgspec
import pytest

from gateway.gateway import GATEWAY
from gateway.serve import Listening
from streams.producer import UnavailableError
from streams.topics import GATEWAY_LEDGER, PLAYBACK_BANDWIDTH, PLAYBACK_EVENTS
from tests.gateway_fakes import World
from tests.unit.cmcd.captured import CAPTURES, PLAYERS
from tests.unit.gateway.running import running_gateway

CMCD = {"Content-Type": "application/cmcd"}


@pytest.mark.parametrize("player", PLAYERS)
async def test_what_players_really_send_is_stored(
    world: World, client: aiohttp.ClientSession, player: str
) -> None:
    body = (Path(CAPTURES) / player / "cmcd_v2_events_batch1.cmcd").read_bytes()
    claims = world.session_claims()
    path = f"/s/{world.session_token(claims)}/cmcd/instance-1?x=1"
    async with client.post(path, data=body[:500_000], headers=CMCD) as answer:
        assert answer.status == 204
        assert await answer.read() == b""
    stored = world.publisher.values(PLAYBACK_EVENTS) + world.publisher.values(PLAYBACK_BANDWIDTH)
    assert len(stored) > 5
    assert {event.session_id for event in stored} == {claims.sid}
    assert all(event.stamp.via == "cmcd" for event in stored)
    assert all(event.source.startswith("cmcd-instance-1") for event in stored)


@pytest.mark.parametrize(
    "body",
    [b"", b"junk", b"\xff\xfe\x00", b"e=ps", b"v=9,e=t,ts=1", b"[" * 100_000, b"x" * 2_000_000],
)
async def test_junk_is_204(world: World, client: aiohttp.ClientSession, body: bytes) -> None:
    path = f"/s/{world.session_token()}/cmcd/player"
    async with client.post(path, data=body, headers=CMCD) as answer:
        assert answer.status == 204


@pytest.mark.parametrize(
    "headers",
    [{"Content-Encoding": "br"}, {"Content-Encoding": "gzip"}, {"Content-Type": "text/html"}],
)
async def test_wrong_headers_are_204(
    world: World, client: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    path = f"/s/{world.session_token()}/cmcd/player"
    async with client.post(path, data=b"e=t,ts=1,sn=1", headers=headers) as answer:
        assert answer.status == 204


async def test_a_forged_token_is_204_and_stores_nothing(
    world: World, client: aiohttp.ClientSession
) -> None:
    async with client.post("/s/forged/cmcd/player", data=b"e=t,ts=1,sn=1") as answer:
        assert answer.status == 204
    assert not world.publisher.rows[PLAYBACK_EVENTS.name]


async def test_a_slow_broker_is_waited_for_a_moment_and_then_204(world: World) -> None:
    limits = msgspec.structs.replace(world.config.limits, cmcd_wait_ms=100)
    world.config = msgspec.structs.replace(world.config, limits=limits)
    acknowledged = asyncio.Event()

    async def wait() -> None:
        await acknowledged.wait()

    async with running_gateway(world) as client:
        world.publisher.delay = wait
        started_s = time.monotonic()
        path = f"/s/{world.session_token()}/cmcd/player"
        async with client.post(path, data=b"e=t,ts=1800000000000,sn=1,v=2") as answer:
            assert answer.status == 204
        assert 0.1 <= time.monotonic() - started_s < 5
        acknowledged.set()
    assert len(world.publisher.rows[PLAYBACK_EVENTS.name]) == 1, "it is stored all the same"


async def test_what_is_not_stored_is_counted_as_shed(world: World) -> None:
    listening = Listening(world.ports())
    announced = await listening.start()
    world.publisher.away = UnavailableError("unknown", "away")
    async with aiohttp.ClientSession(announced.url) as client:
        path = f"/s/{world.session_token()}/cmcd/player"
        body = b"e=t,ts=1800000000000,sn=1,v=2\ne=ps,sta=p,ts=1800000000001,sn=2,v=2"
        async with client.post(path, data=body) as answer:
            assert answer.status == 204
    world.publisher.away = None
    await listening.app[GATEWAY].ledger.stop()
    shed = [entry.shed for entry in world.publisher.values(GATEWAY_LEDGER)]
    await listening.stop()
    assert sum(shed) == 2
