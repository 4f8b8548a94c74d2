from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import aiohttp
import pytest
from msgspec.structs import replace

from gateway.config import Limits
from schemas.accounts import CANARY_PLAN
from schemas.events import Bandwidth, Seek
from streams.producer import UnavailableError
from streams.topics import PLAYBACK_BANDWIDTH, PLAYBACK_EVENTS, SESSION_LEASES
from tests.gateway_fakes import World
from tests.unit.gateway.deflating import DEFLATE
from tests.unit.gateway.running import running_gateway
from tests.unit.gateway.wire_events import an_event, bearer

DAY_MS = 86_400_000


async def _post(
    client: aiohttp.ClientSession, body: Any, headers: dict[str, str], path: str = "/v1/events"
) -> tuple[int, dict[str, Any]]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", **headers}
    async with client.post(path, data=data, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


async def test_an_accepted_event_is_in_the_log_under_our_stamp(
    world: World, client: aiohttp.ClientSession
) -> None:
    claims = world.session_claims()
    event = an_event(claims.sid, stamp={"received_at_ms": 1, "via": "sdk", "account_id": "forged"})
    status, body = await _post(client, event, bearer(world.session_token(claims)))
    assert (status, body) == (202, {"accepted": 1})
    (stored,) = world.publisher.values(PLAYBACK_EVENTS)
    assert isinstance(stored, Seek)
    assert stored.stamp is not None
    assert stored.stamp.account_id == claims.account_id
    assert stored.stamp.received_at_ms == world.clock.now_ms
    assert stored.stamp.network == "127.0.0.0/24"
    assert world.publisher.rows[PLAYBACK_EVENTS.name][0][0] == claims.sid


async def test_measurements_go_to_their_own_topic(
    world: World, client: aiohttp.ClientSession
) -> None:
    claims = world.session_claims()
    events = [
        an_event(claims.sid),
        an_event(claims.sid, type="bandwidth", from_ms=None, to_ms=None, bitrate_kbps=800),
    ]
    status, _ = await _post(client, events, bearer(world.session_token(claims)))
    assert status == 202
    assert len(world.publisher.rows[PLAYBACK_EVENTS.name]) == 1
    (measured,) = world.publisher.values(PLAYBACK_BANDWIDTH)
    assert isinstance(measured, Bandwidth)


async def test_a_partly_bad_batch_is_207_and_says_which(
    world: World, client: aiohttp.ClientSession
) -> None:
    claims = world.session_claims()
    bad = an_event(claims.sid, type="teleport")
    status, body = await _post(
        client, [an_event(claims.sid), bad], bearer(world.session_token(claims))
    )
    assert status == 207
    assert body["accepted"] == 1
    (refused,) = body["refused"]
    assert refused | {"detail": ""} == {
        "index": 1,
        "id": bad["id"],
        "status": 400,
        "reason": "unknown-type",
        "detail": "",
    }
    assert len(world.publisher.rows[PLAYBACK_EVENTS.name]) == 1


async def test_an_event_of_another_session_is_403_and_never_stored(
    world: World, client: aiohttp.ClientSession
) -> None:
    status, body = await _post(client, an_event(world.new_id()), bearer(world.session_token()))
    assert (status, body["reason"]) == (403, "foreign-session")
    assert not world.publisher.rows[PLAYBACK_EVENTS.name]


async def test_a_batch_may_span_sessions_by_tokens_of_its_items(
    world: World, client: aiohttp.ClientSession
) -> None:
    mine, other = world.session_claims(), world.session_claims()
    events = [
        an_event(mine.sid),
        an_event(other.sid, session_token=world.session_token(other)),
        an_event(other.sid, session_token="forged"),
        an_event(mine.sid, session_token=world.session_token(other)),
    ]
    status, body = await _post(client, events, bearer(world.session_token(mine)))
    assert (status, body["accepted"]) == (207, 2)
    assert [(item["index"], item["status"]) for item in body["refused"]] == [(2, 401), (3, 403)]
    stored = world.publisher.values(PLAYBACK_EVENTS)
    assert [event.stamp.account_id for event in stored] == [mine.account_id, other.account_id]
    assert b"session_token" not in b"".join(
        value for _, value in world.publisher.rows[PLAYBACK_EVENTS.name]
    )


async def test_an_ingest_token_posts_for_any_session(
    world: World, client: aiohttp.ClientSession
) -> None:
    session_id = world.new_id()
    status, _ = await _post(client, an_event(session_id), bearer(world.admin_token("ingest")))
    assert status == 202
    (stored,) = world.publisher.values(PLAYBACK_EVENTS)
    assert (stored.stamp.via, stored.stamp.account_id) == ("ingest", "")
    status, body = await _post(client, an_event("x" * 36), bearer(world.admin_token("ingest")))
    assert (status, body["reason"]) == (400, "session-id")


@pytest.mark.parametrize("role", ["operator", "edge", "billing", "catalog"])
async def test_other_roles_may_not_ingest(
    world: World, client: aiohttp.ClientSession, role: Any
) -> None:
    status, _ = await _post(client, an_event(world.new_id()), bearer(world.admin_token(role)))
    assert status == 403


async def test_events_are_taken_a_week_after_the_session_and_no_longer(
    world: World, client: aiohttp.ClientSession
) -> None:
    claims = world.session_claims()
    token = world.session_token(claims)
    world.clock.now_ms += 7 * DAY_MS
    status, _ = await _post(client, an_event(claims.sid), bearer(token))
    assert status == 202
    assert not world.publisher.rows[SESSION_LEASES.name], "a late flush keeps no slot alive"
    world.clock.now_ms += DAY_MS
    status, body = await _post(client, an_event(claims.sid), bearer(token))
    assert (status, body["reason"]) == (401, "token")


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "gzip, gzip", "br"])
async def test_bodies_may_be_deflated_once(
    world: World, client: aiohttp.ClientSession, encoding: str
) -> None:
    claims = world.session_claims()
    body = json.dumps([an_event(claims.sid)] * 20).encode()
    headers = bearer(world.session_token(claims)) | {"Content-Encoding": encoding}
    deflated = DEFLATE.get(encoding, gzip.compress)(body)
    status, _ = await _post(client, deflated, headers)
    assert status == (202 if encoding in {"gzip", "zstd"} else 415)
    if encoding in {"gzip", "zstd"}:
        status, answer = await _post(client, deflated[: len(deflated) // 2], headers)
        assert (status, answer["reason"]) == (400, "truncated")
        assert len(world.publisher.rows[PLAYBACK_EVENTS.name]) == 20


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"x" * (1 << 20) + b"x", 413),
        (b"[" * 1_000_000, 400),
        (b'{"id": "0197', 400),
        (b"\xff\xfe", 400),
        (b"", 400),
        (b"[]", 400),
    ],
)
async def test_bad_bodies_are_problems(
    world: World, client: aiohttp.ClientSession, body: bytes, status: int
) -> None:
    got, problem = await _post(client, body, bearer(world.session_token()))
    assert (got, problem["status"]) == (status, status)
    assert problem["type"].startswith("urn:playhead:problem:")
    assert not world.publisher.rows[PLAYBACK_EVENTS.name]


async def test_a_chunked_body_without_end_is_413_at_the_limit(world: World) -> None:
    async def endless() -> Any:
        while True:
            yield b"x" * 65_536

    # Whoever still sends is heard out until the drain is over.
    world.config = replace(world.config, limits=Limits(drain_ms=100))
    headers = bearer(world.session_token()) | {"Content-Type": "application/json"}
    async with (
        running_gateway(world) as client,
        client.post("/v1/events", data=endless(), headers=headers) as answer,
    ):
        assert answer.status == 413


@pytest.mark.parametrize("outcome", ["not_stored", "unknown"])
async def test_no_2xx_without_the_acknowledgment(
    world: World, client: aiohttp.ClientSession, outcome: Any
) -> None:
    world.publisher.away = UnavailableError(outcome, "away")
    claims = world.session_claims()
    headers = bearer(world.session_token(claims)) | {"Content-Type": "application/json"}
    async with client.post(
        "/v1/events", data=json.dumps(an_event(claims.sid)), headers=headers
    ) as answer:
        assert answer.status == 503
        assert 1 <= int(answer.headers["Retry-After"]) <= 3
        assert (await answer.json(content_type=None))["outcome"] == outcome


async def test_the_answer_waits_for_the_acknowledgment(
    world: World, client: aiohttp.ClientSession
) -> None:
    acknowledged = asyncio.Event()

    async def wait() -> None:
        await acknowledged.wait()

    world.publisher.delay = wait
    claims = world.session_claims()
    post = asyncio.create_task(
        _post(client, an_event(claims.sid), bearer(world.session_token(claims)))
    )
    done, _ = await asyncio.wait((post,), timeout=0.2)
    assert not done
    acknowledged.set()
    assert (await post)[0] == 202


async def test_beacons_come_without_a_header_and_as_plain_text(
    world: World, client: aiohttp.ClientSession
) -> None:
    claims = world.session_claims()
    path = f"/s/{world.session_token(claims)}/events"
    lines = b"\n".join(json.dumps(an_event(claims.sid)).encode() for _ in range(3))
    status, body = await _post(client, lines, {"Content-Type": "text/plain"}, path)
    assert (status, body) == (202, {"accepted": 3})
    status, _ = await _post(client, lines, {"Content-Type": "text/html"}, path)
    assert status == 415


async def test_traffic_renews_the_lease_once_per_interval(
    world: World, client: aiohttp.ClientSession
) -> None:
    claims = world.session_claims()
    headers = bearer(world.session_token(claims))
    for _ in range(3):
        await _post(client, an_event(claims.sid), headers)
    world.clock.now_ms += world.config.heartbeat_interval_ms
    await _post(client, an_event(claims.sid), headers)
    leases = world.publisher.values(SESSION_LEASES)
    assert [lease.session_id for lease in leases] == [claims.sid, claims.sid]


async def test_the_canarys_events_are_marked_whatever_the_client_says(
    world: World, client: aiohttp.ClientSession
) -> None:
    for plan, is_canary in (("premium", False), (CANARY_PLAN, True)):
        claims = replace(world.session_claims(), plan=plan)
        stamp = {"received_at_ms": 1, "via": "sdk", "canary": not is_canary}
        token = bearer(world.session_token(claims))
        assert (await _post(client, an_event(claims.sid, stamp=stamp), token))[0] == 202
        stored = world.publisher.values(PLAYBACK_EVENTS)[-1]
        assert stored.stamp.canary is is_canary


async def test_requests_without_a_valid_token_stand_in_the_ledger(
    world: World, client: aiohttp.ClientSession
) -> None:
    sid = world.session_claims().sid
    assert (await _post(client, an_event(sid), {}))[0] == 401
    assert (await _post(client, an_event(sid), bearer("forged")))[0] == 401
    assert (await _post(client, an_event(sid), {}, "/s/forged/events"))[0] == 401
    async with client.get("/metrics") as answer:
        metrics = await answer.text()
    lines = [one for one in metrics.splitlines() if 'outcome="unauthenticated"' in one]
    (total,) = [line for line in lines if "_created" not in line]
    assert total.endswith(" 3.0")
