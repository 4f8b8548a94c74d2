"""Health, limits, deadlines, CORS and pages: what holds for every route."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import msgspec
import pytest

from gateway.admission import Slots
from gateway.feed import Feed
from gateway.problems import ProblemError
from gateway.region import Regions
from gateway.sharing import Shared
from schemas.sessions import GetKeys
from streams.producer import UnavailableError
from tests.gateway_fakes import World
from tests.unit.gateway.running import running_gateway
from tests.unit.gateway.wire_events import an_event, bearer

ORIGIN = "https://player.example"


def _with_limits(world: World, **limits: int) -> None:
    changed = msgspec.structs.replace(world.config.limits, **limits)
    world.config = msgspec.structs.replace(world.config, limits=changed)


async def test_ready_means_that_the_broker_was_heard_lately(
    world: World, client: aiohttp.ClientSession
) -> None:
    async with client.get("/readyz") as answer:
        assert answer.status == 200
    world.publisher.away = UnavailableError("not_stored", "away")
    world.clock.now_ms += 4_001
    async with client.get("/readyz") as answer:
        assert answer.status == 503
        assert (await answer.json())["broker_acknowledged_ms_ago"] >= 4_001
    async with client.get("/livez") as answer:
        assert answer.status == 200
    world.publisher.away = None
    world.publisher.last_acknowledged_at_ms = world.clock.now_ms
    async with client.get("/readyz") as answer:
        assert answer.status == 200


async def test_metrics_have_no_label_from_outside(
    world: World, client: aiohttp.ClientSession
) -> None:
    for number in range(20):
        async with client.get(f"/no/such/{number}") as answer:
            assert answer.status == 404
        async with client.get(f"/s/token-{number}/manifest.mpd") as answer:
            assert answer.status == 401
    async with client.get("/metrics") as answer:
        text = await answer.text()
    assert "token-" not in text
    assert 'playhead_http_requests_total{route="unknown",status="404"} 20.0' in text
    assert 'playhead_http_requests_total{route="getManifest",status="401"} 20.0' in text
    assert "playhead_http_request_duration_seconds_bucket" in text


async def test_cors_is_open_for_players_and_events_only(
    world: World, client: aiohttp.ClientSession
) -> None:
    for path in (f"/s/{world.session_token()}/license", "/v1/events"):
        async with client.options(path, headers={"Origin": ORIGIN}) as answer:
            assert answer.status == 204
            assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
            assert answer.headers["Vary"] == "Origin"
            assert answer.headers["Access-Control-Max-Age"] == "7200"
            assert "cmcd-object" in answer.headers["Access-Control-Allow-Headers"]
            assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    async with client.get("/s/forged/manifest.mpd", headers={"Origin": ORIGIN}) as answer:
        assert answer.status == 401, "a player must be able to read why"
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "CMSD-Dynamic" in answer.headers["Access-Control-Expose-Headers"]
        assert answer.headers["Timing-Allow-Origin"] == "*"
    for path in ("/v1/account", "/v1/admin/titles/x", "/v1/edge/logs", "/metrics"):
        async with client.options(path, headers={"Origin": ORIGIN}) as answer:
            assert answer.status == 405
            assert "Access-Control-Allow-Origin" not in answer.headers


async def test_a_peer_that_drips_its_headers_is_cut_off(world: World) -> None:
    _with_limits(world, header_deadline_ms=200)
    async with running_gateway(world) as client:
        host, port = str(client._base_url).removeprefix("http://").strip("/").split(":")
        for sent in (b"", b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow:"):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(sent)
            started_s = time.monotonic()
            with suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), 5) == b""
            assert time.monotonic() - started_s < 3
            writer.close()
        reader, writer = await asyncio.open_connection(host, int(port))
        for _ in range(3):
            writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200 OK" in await reader.readuntil(b'"ok"')
            await asyncio.sleep(0.05)
        writer.close()


async def test_a_body_that_drips_is_408_or_cut_off(world: World) -> None:
    _with_limits(world, body_deadline_ms=200)

    async def drip() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"["
            await asyncio.sleep(0.05)

    async with running_gateway(world) as client:
        started_s = time.monotonic()
        headers = bearer(world.session_token()) | {"Content-Type": "application/json"}
        async with client.post("/v1/events", data=drip(), headers=headers) as answer:
            assert answer.status == 408
        assert time.monotonic() - started_s < 3


async def test_memory_is_bounded_in_bytes(world: World) -> None:
    """Given room for one body, when a second comes meanwhile, then it is 503 before it is read."""
    _with_limits(world, memory_bytes_max=4_000)
    held, acknowledged = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        held.set()
        await acknowledged.wait()

    async with running_gateway(world) as client:
        world.publisher.delay = wait
        claims = world.session_claims()
        headers = bearer(world.session_token(claims))
        body = an_event(claims.sid, pad="x" * 400)

        async def post() -> int:
            async with client.post("/v1/events", json=body, headers=headers) as answer:
                return answer.status

        first = asyncio.create_task(post())
        await held.wait()
        assert await post() == 503
        acknowledged.set()
        assert await first == 202
        assert await post() == 202


def test_a_full_class_does_not_touch_the_others() -> None:
    slots = Slots({"interactions": 1, "license": 1})
    slots.enter("interactions")
    with pytest.raises(ProblemError) as caught:
        slots.enter("interactions")
    assert caught.value.problem.status == 503
    slots.enter("license")
    slots.leave("interactions")
    slots.enter("interactions")


@pytest.mark.parametrize(
    ("peer", "region", "network"),
    [
        ("127.0.0.1", "DE", "127.0.0.0/24"),
        ("::1", "DE", "::/48"),
        ("::ffff:127.0.0.1", "DE", "127.0.0.0/24"),
        ("203.0.113.9", "", "203.0.113.0/24"),
        ("2001:db8:1:2::3", "", "2001:db8:1::/48"),
        ("fe80::1%eth0", "", "fe80::/48"),
        ("not an address", "", ""),
        (None, "", ""),
    ],
)
def test_places_are_coarse(peer: str | None, region: str, network: str) -> None:
    place = Regions(None, "DE").locate(peer)
    assert (place.region, place.network, place.asn) == (region, network, 0)


async def test_an_equal_call_in_flight_is_shared_and_errors_are_too() -> None:
    calls: list[int] = []
    shared: Shared[int] = Shared(lambda: None)

    async def make() -> int:
        calls.append(1)
        await asyncio.sleep(0.01)
        if len(calls) == 2:
            raise ProblemError(403, "no")
        return len(calls)

    assert await asyncio.gather(*(shared.run("a", make) for _ in range(5))) == [1] * 5
    failed = await asyncio.gather(
        *(shared.run("a", make) for _ in range(3)), return_exceptions=True
    )
    assert all(isinstance(each, ProblemError) for each in failed)
    assert len(calls) == 2


async def test_a_waiting_change_is_told_once() -> None:
    feed = Feed()
    mine, all_ = feed.subscribe("a"), feed.subscribe()
    for session_id in ("a", "b", "a"):
        feed.tell(session_id)
    assert await mine.next_changes(1) == ["a"]
    assert await all_.next_changes(1) == ["b", "a"]
    assert await all_.next_changes(1) == []


async def test_pages_come_under_a_strict_policy(world: World, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "app.js").write_text("1")
    world.config = msgspec.structs.replace(
        world.config, web_folder=tmp_path, page_settings={"demo": "yes"}
    )
    async with running_gateway(world) as client:
        async with client.get("/") as answer:
            assert answer.status == 200
            policy = answer.headers["Content-Security-Policy"]
        assert "script-src 'self';" in policy
        assert "http://localhost:8082" in policy
        assert "unsafe" not in policy
        async with client.get("/web/app.js") as answer:
            assert answer.status == 200
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        async with client.get("/console") as answer:
            assert answer.status == 404
        async with client.get("/page.json") as answer:
            assert (await answer.json())["settings"] == {"demo": "yes"}


async def test_what_breaks_inside_is_500_and_tells_the_log_no_token(
    world: World, client: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    def break_(_: object) -> None:
        raise ValueError(f"broken at /s/{world.session_token()}/license")

    world.asker.answers[GetKeys] = break_
    with caplog.at_level(logging.DEBUG):
        async with client.get(f"/s/{world.session_token()}/key/{'1' * 32}") as answer:
            assert answer.status == 500
            assert (await answer.json(content_type=None))["reason"] == "internal"
    said = caplog.text
    caplog.clear()
    assert "broken at" in said
    assert "eyJ" not in said
