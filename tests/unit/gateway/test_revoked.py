"""The gateway refuses what an operator took back, before any agent is asked."""

from __future__ import annotations

import aiohttp
import pytest

from schemas.revocations import Revocation, RevokedKind, revocation_key
from tests.builders import NOW_MS
from tests.gateway_fakes import World
from tests.unit.gateway.answering import let_all_answer
from tests.unit.gateway.wire_events import bearer

ACCOUNT = "11111111-1111-8111-8111-111111111111"


def revoke(world: World, kind: RevokedKind, subject: str) -> None:
    revocation = Revocation(kind=kind, subject=subject, by="ada", at_ms=NOW_MS)
    world.revocations.put(revocation_key(kind, subject), revocation)


@pytest.mark.parametrize(
    ("kind", "status"),
    [("token", 401), ("session", 403), ("account", 403), ("device", 403), ("model", 403)],
)
async def test_a_session_is_refused_by_whatever_of_it_is_revoked(
    world: World, client: aiohttp.ClientSession, kind: RevokedKind, status: int
) -> None:
    claims = world.session_claims(account_id=ACCOUNT, device_id="tv-1", device_model="TV 2019")
    subjects = {
        "token": claims.jti,
        "session": claims.sid,
        "account": claims.account_id,
        "device": claims.device_id,
        "model": claims.device_model,
    }
    path = f"/s/{world.session_token(claims)}/bitrate"
    revoke(world, kind, "something else")
    async with client.get(path) as answer:
        assert answer.status == 200
    revoke(world, kind, subjects[kind])
    async with client.get(path) as answer:
        assert answer.status == status
        assert (await answer.json())["reason"] in {"token", "revoked"}
    world.revocations.remove(revocation_key(kind, subjects[kind]))
    async with client.get(path) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("kind", ["account", "token"])
async def test_a_viewer_is_refused_by_account_and_by_token(
    world: World, client: aiohttp.ClientSession, kind: RevokedKind
) -> None:
    let_all_answer(world)
    token = world.access_token(ACCOUNT)
    jti = world.ports().access_tokens.verify(token).jti
    revoke(world, kind, ACCOUNT if kind == "account" else jti)
    async with client.get("/v1/account", headers=bearer(token)) as answer:
        assert answer.status == (403 if kind == "account" else 401)
    assert world.asker.asked == []
    async with client.get("/v1/account", headers=bearer(world.access_token("other"))) as answer:
        assert answer.status == 200


async def test_an_administration_token_is_refused_once_it_is_revoked(
    world: World, client: aiohttp.ClientSession
) -> None:
    let_all_answer(world)
    token = world.admin_token("operator")
    async with client.get("/v1/admin/overview", headers=bearer(token)) as answer:
        assert answer.status != 401
    revoke(world, "token", world.ports().admin_tokens.verify(token).jti)
    async with client.get("/v1/admin/overview", headers=bearer(token)) as answer:
        assert answer.status == 401
    other = bearer(world.admin_token("operator"))
    async with client.get("/v1/admin/overview", headers=other) as answer:
        assert answer.status != 401
