from __future__ import annotations

import aiohttp
import pytest
from yarl import URL

from schemas.recommendations import GetResumePoint
from schemas.sessions import OpenSession
from streams.topics import PLAYBACK_EVENTS, SESSION_LEASES
from tests.gateway_fakes import NOW_MS, World
from tests.unit.gateway.answering import PROFILE_ID, let_all_answer
from tests.unit.gateway.opened import KEY_ID, open_session, refuse
from tests.unit.gateway.wire_events import bearer


async def test_a_session_tells_every_address(world: World, client: aiohttp.ClientSession) -> None:
    let_all_answer(world)
    body = {
        "content_id": "title-1",
        "profile_id": PROFILE_ID,
        "device": {"device_id": "tv", "player": "hls.js 1.7"},
    }
    headers = bearer(world.access_token()) | {"X-Forwarded-For": "8.8.8.8"}
    async with client.post("/v1/sessions", json=body, headers=headers) as answer:
        assert answer.status == 201
        assert answer.headers["Cache-Control"] == "no-store"
        opened = await answer.json()
    root = opened["dash_url"].removesuffix("/manifest.mpd")
    assert root.startswith("http://127.0.0.1:")
    assert root.endswith(f"/s/{opened['session_token']}")
    assert opened["hls_url"] == f"{root}/master.m3u8?kf=hlsjs"
    assert opened["license_url"] == f"{root}/license"
    assert opened["cmcd_url"].startswith(f"{root}/cmcd/")
    assert opened["resume_playhead_ms"] == 61_000
    assert opened["expires_at"].endswith("Z")
    (question,) = (q for _, _, q in world.asker.asked if isinstance(q, OpenSession))
    assert question.region == "DE", "the region is the peer's, whatever a header says"
    assert opened["session_id"] == question.session_id


async def test_without_a_resume_point_playback_starts_at_the_beginning(
    world: World, client: aiohttp.ClientSession
) -> None:
    let_all_answer(world)
    del world.asker.answers[GetResumePoint]
    body = {"content_id": "title-1", "profile_id": PROFILE_ID, "device": {"device_id": "tv"}}
    async with client.post(
        "/v1/sessions", json=body, headers=bearer(world.access_token())
    ) as answer:
        assert (await answer.json())["resume_playhead_ms"] == 0


async def test_a_session_ends_by_its_own_token_or_its_account_only(
    world: World, client: aiohttp.ClientSession
) -> None:
    let_all_answer(world)
    session_id, token = open_session(world)
    path = f"/v1/sessions/{session_id}"
    for headers, status in (
        (bearer(token), 204),
        (bearer(world.access_token()), 204),  # the license agent judges whose it is
        (bearer(world.session_token()), 404),
        ({}, 401),
    ):
        async with client.delete(path, headers=headers) as answer:
            assert answer.status == status
    async with client.post(f"{path}/extension", headers=bearer(token)) as answer:
        assert answer.status == 200
        assert (await answer.json())["session_id"] == session_id


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/s/..%2f..%2fv1/account",
        "/web/../gateway.py",
        "/players/%2e%2e%2fsecret",
    ],
)
async def test_paths_with_dots_lead_nowhere(client: aiohttp.ClientSession, path: str) -> None:
    async with client.get(URL(f"{client._base_url}".rstrip("/") + path, encoded=True)) as answer:
        assert answer.status in {400, 401, 404}
        assert (await answer.json(content_type=None))["status"] == answer.status


async def test_an_ended_session_gets_nothing_but_may_still_tell(
    world: World, client: aiohttp.ClientSession
) -> None:
    session_id, token = open_session(world)
    refuse(world, session_id)
    for path in ("manifest.mpd", "master.m3u8", "v480.m3u8", "bitrate", f"key/{KEY_ID}"):
        async with client.get(f"/s/{token}/{path}") as answer:
            assert (answer.status, (await answer.json(content_type=None))["reason"]) == (
                403,
                "session-ended",
            )
    line = f'e=ps,sta=e,ts={NOW_MS},sn=1,sid="{session_id}",v=2'
    async with client.post(f"/s/{token}/cmcd/player", data=line) as answer:
        assert answer.status == 204
    assert len(world.publisher.rows[PLAYBACK_EVENTS.name]) == 1
    assert not world.publisher.rows[SESSION_LEASES.name]
