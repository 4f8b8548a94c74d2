from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp

from schemas.events import Bandwidth
from schemas.steering import SteeringDecision
from streams.topics import PLAYBACK_BANDWIDTH
from tests.gateway_fakes import NOW_MS, World
from tests.unit.gateway.opened import a_bitrate, open_session, refuse
from tests.unit.gateway.running import running_gateway
from tests.unit.gateway.wire_events import bearer


async def test_manifests_are_the_viewers_own(world: World, client: aiohttp.ClientSession) -> None:
    session_id, token = open_session(world, tiers=("audio", "sd"))
    async with client.get(f"/s/{token}/manifest.mpd") as answer:
        assert answer.status == 200
        assert answer.content_type == "application/dash+xml"
        text = await answer.text()
    assert f"/s/{token}/license" in text
    assert session_id in text
    assert 'height="720"' not in text, "HD is not of the session's tiers"
    async with client.get(f"/s/{token}/master.m3u8?kf=hlsjs") as answer:
        assert answer.content_type == "application/vnd.apple.mpegurl"
        assert "EXT-X-CONTENT-STEERING" in await answer.text()
    async with client.get(f"/s/{token}/v480.m3u8?cdn=beta") as answer:
        assert "http://localhost:8082/" in await answer.text()
    for name in ("v720", "nothing"):
        async with client.get(f"/s/{token}/{name}.m3u8") as answer:
            assert answer.status == 404


async def test_steering_is_200_to_everybody(world: World, client: aiohttp.ClientSession) -> None:
    session_id, token = open_session(world)
    world.steering.put(
        "*",
        SteeringDecision(
            cohort="*",
            version=1,
            order=("beta", "alpha"),
            ttl_s=5,
            reason="errors",
            facts=(),
            policy_version="1",
            decided_at_ms=NOW_MS,
        ),
    )
    world.bitrates.put(session_id, a_bitrate(session_id, 900))
    async with client.get(f"/s/{token}/steering?_DASH_pathway=%22alpha%22") as answer:
        steering = await answer.json()
    assert steering["PATHWAY-PRIORITY"] == ["beta", "alpha"]
    assert steering["TTL"] == 5
    async with client.get(f"/s/{token}/steering?kf=hlsjs&_HLS_throughput=") as answer:
        priority = (await answer.json())["PATHWAY-PRIORITY"]
    assert priority[0].startswith("beta-v"), "hls.js is held under the ceiling by a ladder"
    refuse(world, session_id)
    for other in (token, "forged", world.session_token()):
        async with client.get(f"/s/{other}/steering") as answer:
            assert answer.status == 200
            assert (await answer.json())["PATHWAY-PRIORITY"] == ["beta", "alpha"]


async def test_a_session_draws_its_order_from_the_plan_of_its_network_or_region(
    world: World, client: aiohttp.ClientSession
) -> None:
    _, token = open_session(world, region="SE", asn=1)
    for cohort, alpha, ceiling_kbps in (("SE/0", 1.0, None), ("SE/1", 0.0, 900)):
        world.steering.put(cohort, a_plan(cohort, alpha, ceiling_kbps))
    async with client.get(f"/s/{token}/steering") as answer:
        assert (await answer.json())["PATHWAY-PRIORITY"] == ["beta", "alpha"]
    async with client.get(f"/s/{token}/steering?kf=hlsjs") as answer:
        assert (await answer.json())["PATHWAY-PRIORITY"][0].startswith("beta-v")
    _, other = open_session(world, region="SE", asn=2)
    async with client.get(f"/s/{other}/steering?kf=hlsjs") as answer:
        assert (await answer.json())["PATHWAY-PRIORITY"] == ["alpha", "beta"]


def a_plan(cohort: str, alpha: float, ceiling_kbps: int | None) -> SteeringDecision:
    return SteeringDecision(
        cohort=cohort,
        version=1,
        order=("alpha", "beta"),
        ttl_s=5,
        reason="planned",
        facts=(),
        policy_version="1",
        decided_at_ms=NOW_MS,
        shares={"alpha": alpha, "beta": 1.0 - alpha},
        ceiling_kbps=ceiling_kbps,
    )


async def test_the_bitrate_is_told_now_at_the_next_decision_and_as_a_stream(
    world: World, client: aiohttp.ClientSession
) -> None:
    session_id, token = open_session(world)
    path = f"/s/{token}/bitrate"
    async with client.get(path) as answer:
        assert (await answer.json())["ceiling_kbps"] is None
    waiting = asyncio.create_task(_json(client, f"{path}?wait_ms=20000"))
    while not len(world.feed):  # noqa: ASYNC110 - the feed tells nobody of who subscribes
        await asyncio.sleep(0)
    world.bitrates.put(session_id, a_bitrate(session_id, 900))
    assert await waiting == {
        "ceiling_kbps": 900,
        "rendition": "v360",
        "reason": "throughput",
        "decided_at_ms": NOW_MS + 1,
    }
    assert (await _json(client, f"{path}?wait_ms=20000&since_ms={NOW_MS}"))["ceiling_kbps"] == 900
    async with client.get(path, headers={"Accept": "text/event-stream"}) as stream:
        assert stream.content_type == "text/event-stream"
        assert b'"ceiling_kbps":900' in await stream.content.readuntil(b"\n\n")
        world.bitrates.put(session_id, a_bitrate(session_id, 500, version=2))
        assert b'"ceiling_kbps":500' in await stream.content.readuntil(b"\n\n")
        refuse(world, session_id)
        said = await stream.content.read()
        assert said.startswith(b"event: ended\ndata: ")
        assert b'"reason":"session-ended"' in said
    assert len(world.feed) == 0, "nobody is left waiting"


async def _json(client: aiohttp.ClientSession, path: str) -> Any:
    async with client.get(path) as answer:
        return await answer.json()


async def test_a_long_poll_ends_without_a_decision(
    world: World, client: aiohttp.ClientSession
) -> None:
    _, token = open_session(world)
    assert (await _json(client, f"/s/{token}/bitrate?wait_ms=50"))["ceiling_kbps"] is None
    for wrong in ("-1", "x", "1e9", "9" * 20):
        async with client.get(f"/s/{token}/bitrate?wait_ms={wrong}") as answer:
            assert answer.status == 400


async def test_streams_end_when_the_gateway_drains(world: World) -> None:
    async with running_gateway(world) as client:
        _, token = open_session(world)
        stream = await client.get(f"/s/{token}/bitrate", headers={"Accept": "text/event-stream"})
        await stream.content.readuntil(b"\n\n")
        edge = await client.get("/v1/edge/decisions", headers=bearer(world.admin_token("edge")))
        await edge.content.readline()
        started_s = time.monotonic()
    assert time.monotonic() - started_s < 5


async def test_request_mode_cmcd_becomes_a_measurement(
    world: World, client: aiohttp.ClientSession
) -> None:
    session_id, token = open_session(world)
    async with client.get(f"/s/{token}/manifest.mpd?CMCD=mtp%3D25400%2Cbl%3D3200%2Cot%3Dm") as a:
        assert a.status == 200
    async with client.get(
        f"/s/{token}/master.m3u8", headers={"CMCD-Request": "mtp=1200", "CMCD-Session": "v=1"}
    ) as a:
        assert a.status == 200
    first, second = world.publisher.values(PLAYBACK_BANDWIDTH)
    assert isinstance(first, Bandwidth)
    assert (first.measured_throughput_kbps, first.buffer_length_ms) == (25_400, 3_200)
    assert (second.measured_throughput_kbps, first.session_id) == (1_200, session_id)
    assert first.sequence < second.sequence
    assert first.stamp is not None
    assert first.stamp.via == "cmcd"
