"""The Python client and the real gateway, whose log comes and goes."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from gateway.client import ClientLimits, EventClient
from streams.producer import UnavailableError
from streams.topics import PLAYBACK_BANDWIDTH, PLAYBACK_EVENTS
from tests.gateway_fakes import World
from tests.unit.gateway.running import running_gateway

PATIENCE_MS = 20_000
LIMITS = ClientLimits(gather_ms=5, backoff_ms_min=5, backoff_ms_max=40)


@pytest.mark.parametrize("outcome", ["not_stored", "unknown"])
async def test_events_wait_until_the_log_is_back(tmp_path: Path, outcome: str) -> None:
    world = World()
    claims = world.session_claims()
    async with running_gateway(world) as http:
        url = f"{_root(http)}/s/{world.session_token(claims)}/events"
        world.publisher.away = UnavailableError(outcome, "away")  # type: ignore[arg-type]  # by its text
        async with EventClient(url, queue=tmp_path / "events.sqlite", limits=LIMITS) as client:
            ids = [await client.report("heartbeat", claims.sid, playhead_ms=n) for n in range(9)]
            ids.append(await client.report("bandwidth", claims.sid, measured_throughput_kbps=900))
            while client.tally.failed_posts == 0:
                assert not await client.flush(50)
            world.publisher.away = None
            assert await client.flush(PATIENCE_MS)
    stored = world.publisher.values(PLAYBACK_EVENTS) + world.publisher.values(PLAYBACK_BANDWIDTH)
    assert sorted(event.id for event in stored) == sorted(ids)


async def test_a_back_end_reports_for_many_sessions(tmp_path: Path) -> None:
    world = World()
    sessions = [world.new_id() for _ in range(3)]
    async with (
        running_gateway(world) as http,
        EventClient(
            f"{_root(http)}/v1/events",
            token=world.admin_token("ingest"),
            queue=tmp_path / "events.sqlite",
            limits=LIMITS,
        ) as client,
    ):
        ids = [await client.report("play", sid) for sid in sessions for _ in range(2)]
        bad = await client.report("teleport", sessions[0])
        assert await client.flush(PATIENCE_MS)
        assert (client.tally.accepted, client.tally.refused) == (6, 1)
    stored = world.publisher.values(PLAYBACK_EVENTS)
    assert [event.id for event in stored] == ids
    assert bad not in ids
    assert [event.sequence for event in stored] == [0, 1] * 3
    assert {event.stamp.via for event in stored if event.stamp} == {"ingest"}


def _root(http: aiohttp.ClientSession) -> str:
    return str(http._base_url).rstrip("/")
