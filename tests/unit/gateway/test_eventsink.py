from __future__ import annotations

import gzip
import json
from typing import Any

import aiohttp
import pytest

from schemas.events import Heartbeat, Play
from streams.producer import UnavailableError
from streams.topics import PLAYBACK_EVENTS, SESSION_LEASES
from tests.gateway_fakes import World
from tests.unit.gateway.epas_reports import a_report
from tests.unit.gateway.opened import open_session
from tests.unit.gateway.wire_events import bearer

ORIGIN = "https://player.example"


async def _post(
    client: aiohttp.ClientSession,
    path: str,
    report: Any,
    headers: dict[str, str] | None = None,
) -> tuple[int, dict[str, Any]]:
    data = report if isinstance(report, bytes) else json.dumps(report).encode()
    given = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
    async with client.post(path, data=data, headers=given) as answer:
        return answer.status, await answer.json(content_type=None)


async def test_an_event_is_answered_in_its_shape_once_it_is_in_the_log(
    world: World, client: aiohttp.ClientSession
) -> None:
    session_id, token = open_session(world)
    path = f"/s/{token}/epas/"
    interval_ms = world.config.heartbeat_interval_ms
    assert await _post(client, path, a_report("init", playhead=-1, duration=-1)) == (
        200,
        {"sessionId": "sdk-1", "heartbeatInterval": interval_ms},
    )
    assert await _post(client, path, a_report()) == (200, {"sessionId": "sdk-1", "valid": True})
    play, beat = world.publisher.values(PLAYBACK_EVENTS)
    assert isinstance(play, Play)
    assert isinstance(beat, Heartbeat)
    assert beat.session_id == session_id
    assert beat.stamp is not None
    assert (beat.stamp.via, beat.stamp.content_id) == ("sdk", "tears")
    assert len(world.publisher.rows[SESSION_LEASES.name]) == 1, "it keeps the slot"


async def test_who_names_no_session_is_told_ours(
    world: World, client: aiohttp.ClientSession
) -> None:
    session_id, token = open_session(world)
    _, told = await _post(client, f"/s/{token}/epas/", a_report("init", sessionId=None))
    assert told["sessionId"] == session_id
    await _post(client, f"/s/{token}/epas/", a_report("playing", sessionId=None))
    sources = {event.source for event in world.publisher.values(PLAYBACK_EVENTS)}
    assert sources == {f"epas-{session_id}"}


async def test_the_same_post_again_is_the_same_event(
    world: World, client: aiohttp.ClientSession
) -> None:
    _, token = open_session(world)
    for _ in range(2):
        assert (await _post(client, f"/s/{token}/epas/", a_report()))[0] == 200
    first, second = world.publisher.rows[PLAYBACK_EVENTS.name]
    assert first == second


async def test_the_token_comes_in_the_path_the_query_or_the_header(
    world: World, client: aiohttp.ClientSession
) -> None:
    session_id, token = open_session(world)
    await _post(client, f"/epas/?session_token={token}", a_report(timestamp=1))
    await _post(client, "/epas/", a_report(timestamp=2), bearer(token))
    events = world.publisher.values(PLAYBACK_EVENTS)
    assert [event.session_id for event in events] == [session_id] * 2


async def test_a_back_end_names_our_session(world: World, client: aiohttp.ClientSession) -> None:
    headers = bearer(world.admin_token("ingest"))
    session_id = world.new_id()
    status, _ = await _post(client, "/epas/", a_report(sessionId=session_id), headers)
    assert status == 200
    (event,) = world.publisher.values(PLAYBACK_EVENTS)
    assert event.stamp is not None
    assert (event.session_id, event.stamp.via) == (session_id, "ingest")
    status, told = await _post(client, "/epas/", a_report(), headers)
    assert (status, told["reason"]) == (400, "session-id")
    assert (await _post(client, "/epas/", a_report(), bearer(world.admin_token("edge"))))[0] == 403


@pytest.mark.parametrize(
    ("report", "status", "reason"),
    [
        (a_report("teleported"), 400, "schema"),
        (a_report(timestamp=-1), 400, "schema"),
        (a_report("bitrate_changed"), 400, "schema"),
        (a_report("bitrate_changed", payload={"bitrate": -5}), 400, "schema"),
        ([a_report()], 400, "schema"),
        (b"{", 400, "not-json"),
        (b"", 400, "not-json"),
        (a_report(payload={"x": "y" * 70_000}), 413, "too-large"),
    ],
)
async def test_what_is_no_event_is_refused_in_its_shape(
    world: World, client: aiohttp.ClientSession, report: Any, status: int, reason: str
) -> None:
    _, token = open_session(world)
    answered, told = await _post(client, f"/s/{token}/epas/", report)
    assert (answered, told["status"], told["reason"]) == (status, status, reason)
    assert told["valid"] is False
    assert told["message"]
    assert told["sessionId"] in {"sdk-1", -1}
    assert world.publisher.rows[PLAYBACK_EVENTS.name] == []


async def test_no_2xx_without_the_acknowledgment(
    world: World, client: aiohttp.ClientSession
) -> None:
    _, token = open_session(world)
    world.publisher.away = UnavailableError("unknown", "away")
    async with client.post(f"/s/{token}/epas/", json=a_report()) as answer:
        told = await answer.json(content_type=None)
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) >= 1
    assert told["outcome"] == "unknown"
    assert (told["sessionId"], told["message"], told["valid"]) == (
        "sdk-1",
        "Queue service unavailable",
        False,
    )


@pytest.mark.parametrize("path", ["/epas/", "/epas/?session_token=forged", "/s/forged/epas/"])
async def test_without_a_token_nothing_is_taken(client: aiohttp.ClientSession, path: str) -> None:
    status, told = await _post(client, path, a_report())
    assert (status, told["reason"], told["valid"]) == (401, "token", False)
    async with client.get("/metrics") as answer:
        assert 'outcome="unauthenticated"' in await answer.text()


async def test_a_deflated_event_is_inflated_and_another_media_type_is_415(
    world: World, client: aiohttp.ClientSession
) -> None:
    _, token = open_session(world)
    body = gzip.compress(json.dumps(a_report()).encode())
    path = f"/s/{token}/epas/"
    assert (await _post(client, path, body, {"Content-Encoding": "gzip"}))[0] == 200
    for media_type in ("application/x-ndjson", "application/xml"):
        assert (await _post(client, path, a_report(), {"Content-Type": media_type}))[0] == 415


async def test_a_browser_may_post_from_any_origin(
    world: World, client: aiohttp.ClientSession
) -> None:
    asked = "content-type,x-epas-event,x-epas-version"
    for path in ("/epas/", f"/s/{world.session_token()}/epas/"):
        headers = {"Origin": ORIGIN, "Access-Control-Request-Headers": asked}
        async with client.options(path, headers=headers) as answer:
            assert answer.status == 204
            assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
            allowed = answer.headers["Access-Control-Allow-Headers"].replace(" ", "").split(",")
            assert set(asked.split(",")) <= set(allowed)
