from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from schemas import codec
from schemas.accounts import Credentials, Refresh, SignIn, SignOut, SignUp, credentials_info
from schemas.envelope import Refused
from schemas.ids import derive_account_id
from schemas.secrets import SecretBytes
from schemas.sessions import OpenSession
from schemas.tokens import opaque_token
from streams.sealing import unseal
from streams.topics import ACCOUNT_REQUESTS
from tests.gateway_fakes import World
from tests.unit.gateway.answering import PROFILE_ID, let_all_answer
from tests.unit.gateway.wire_events import bearer

ADDRESS = "Ada@Example.org"
SIGN_IN = {"grant_type": "password", "username": ADDRESS, "password": "long enough"}


def _opened(world: World, command: Any) -> Credentials:
    sealing = world.directory.identity("account").sealing
    text = unseal(command.sealed, sealing, credentials_info(command.account_id))
    decoder: codec.Decoder[Credentials] = codec.Decoder(Credentials)
    return decoder.decode(text)


async def test_a_password_reaches_the_agent_only_sealed(
    world: World, client: aiohttp.ClientSession
) -> None:
    let_all_answer(world)
    body = {"email": f" {ADDRESS} ", "password": "long enough", "plan": "premium"}
    async with client.post("/v1/accounts", json=body) as answer:
        assert answer.status == 201
        account = await answer.json()
    ((topic, key, command),) = world.asker.asked
    assert isinstance(command, SignUp)
    assert topic == ACCOUNT_REQUESTS.name
    assert key == command.account_id == account["account_id"]
    assert key == derive_account_id(SecretBytes(b"d" * 32), ADDRESS.lower())
    wire = codec.encode(command)
    assert b"long enough" not in wire
    assert b"xample" not in wire
    assert _opened(world, command) == Credentials(email=ADDRESS, password="long enough")


@pytest.mark.parametrize("form", [True, False])
async def test_tokens_come_in_the_shapes_of_rfc_6749(
    world: World, client: aiohttp.ClientSession, form: bool
) -> None:
    let_all_answer(world)
    sent: dict[str, Any] = {"data" if form else "json": SIGN_IN}
    async with client.post("/v1/tokens", **sent) as answer:
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "no-store"
        granted = await answer.json()
    assert set(granted) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert (granted["token_type"], granted["expires_in"]) == ("Bearer", 900)
    assert isinstance(world.asker.asked[0][2], SignIn)


async def test_a_refresh_token_names_its_account(
    world: World, client: aiohttp.ClientSession
) -> None:
    let_all_answer(world)
    account_id = world.new_id()
    token = opaque_token(account_id, b"s" * 32)
    refresh = {"grant_type": "refresh_token", "refresh_token": token}
    async with client.post("/v1/tokens", data=refresh) as answer:
        assert answer.status == 200
    ((_, key, command),) = world.asker.asked
    assert isinstance(command, Refresh)
    assert key == account_id
    assert _opened(world, command).refresh_token == token


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password"}, "invalid_request"),
        ({"grant_type": "password", "username": "a@b"}, "invalid_request"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "short"}, "invalid_grant"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
    ],
)
async def test_bad_grants_are_oauth_errors_and_problems(
    client: aiohttp.ClientSession, parameters: dict[str, str], error: str
) -> None:
    for sent in ({"json": parameters}, {"data": parameters or {"x": "y"}}):
        async with client.post("/v1/tokens", **sent) as answer:  # type: ignore[arg-type]  # one of two keywords
            assert answer.status == 400
            problem = await answer.json(content_type=None)
            assert problem["error"] == error
            assert problem["status"] == 400


async def test_a_parameter_that_stands_twice_is_refused(client: aiohttp.ClientSession) -> None:
    pairs = [*SIGN_IN.items(), ("username", "someone@else")]
    async with client.post("/v1/tokens", data=pairs) as answer:
        assert answer.status == 400
    async with client.post("/v1/tokens", data="<x/>", headers={"Content-Type": "a/b"}) as answer:
        assert answer.status == 415


@pytest.mark.parametrize(
    ("refused", "status", "error"),
    [
        (Refused(status=400, reason="invalid-grant"), 400, "invalid_grant"),
        (Refused(status=401, reason="whatever"), 400, "invalid_grant"),
        (Refused(status=429, reason="too-many-attempts"), 429, "slow_down"),
        (Refused(status=503, reason="busy"), 503, None),
    ],
)
async def test_refused_sign_ins_look_alike(
    world: World, client: aiohttp.ClientSession, refused: Refused, status: int, error: str | None
) -> None:
    world.asker.answers[SignIn] = lambda _: refused
    async with client.post("/v1/tokens", data=SIGN_IN) as answer:
        assert answer.status == status
        assert (await answer.json(content_type=None)).get("error") == error
        assert ("Retry-After" in answer.headers) == (status in {429, 503})


async def test_signing_out_ends_this_family_or_all(
    world: World, client: aiohttp.ClientSession
) -> None:
    let_all_answer(world)
    for query in ("", "?everywhere=true"):
        async with client.delete(f"/v1/tokens{query}", headers=bearer(world.access_token())) as a:
            assert a.status == 204
    here, everywhere = (command for _, _, command in world.asker.asked)
    assert isinstance(here, SignOut)
    assert isinstance(everywhere, SignOut)
    assert (here.family, here.everywhere, everywhere.everywhere) == ("family-1", False, True)


async def test_both_halves_of_a_password_reset(world: World, client: aiohttp.ClientSession) -> None:
    let_all_answer(world)
    token = opaque_token(world.new_id(), b"s" * 32)
    for body in ({"email": ADDRESS}, {"reset_token": token, "password": "long enough"}):
        async with client.post("/v1/password-resets", json=body) as answer:
            assert answer.status == 204
    for body in ({}, {"email": ADDRESS, "password": "x"}, {"reset_token": token}):
        async with client.post("/v1/password-resets", json=body) as answer:
            assert answer.status == 400


async def test_profiles_are_added_changed_and_removed(
    world: World, client: aiohttp.ClientSession
) -> None:
    let_all_answer(world)
    headers = bearer(world.access_token())
    async with client.post("/v1/profiles", json={"name": "Ada"}, headers=headers) as answer:
        assert answer.status == 201
        assert (await answer.json())["profile_id"] == PROFILE_ID
    path = f"/v1/profiles/{PROFILE_ID}"
    async with client.patch(path, json={"maturity": 12}, headers=headers) as answer:
        assert answer.status == 200
    async with client.delete(path, headers=headers) as answer:
        assert answer.status == 204
    async with client.get("/v1/profiles", headers=headers) as answer:
        assert len((await answer.json())["profiles"]) == 1


async def test_who_sees_a_newer_account_is_judged_by_it(
    world: World, client: aiohttp.ClientSession
) -> None:
    """Given a token of version 1, when the account is seen at 7, then sessions ask for 7."""
    let_all_answer(world)
    headers = bearer(world.access_token(world.new_id(), ver=1))
    async with client.get("/v1/account", headers=headers) as answer:
        assert answer.status == 200
    body = {"content_id": "title-1", "profile_id": PROFILE_ID, "device": {"device_id": "tv"}}
    async with client.post("/v1/sessions", json=body, headers=headers) as answer:
        assert answer.status == 201
    versions = [q.account_version for _, _, q in world.asker.asked if isinstance(q, OpenSession)]
    assert versions == [7]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"email": "a@b.c"}, "schema"),
        ({"email": "a@b.c", "password": "x", "is_admin": True}, "schema"),
        ({"email": 3, "password": "x"}, "schema"),
        ([], "schema"),
        ("x", "schema"),
    ],
)
async def test_other_bodies_are_refused(
    client: aiohttp.ClientSession, body: Any, reason: str
) -> None:
    async with client.post("/v1/accounts", json=body) as answer:
        assert answer.status == 400
        assert (await answer.json(content_type=None))["reason"] == reason


async def test_only_billing_changes_subscriptions(
    world: World, client: aiohttp.ClientSession
) -> None:
    let_all_answer(world)
    path = f"/v1/admin/accounts/{world.new_id()}/subscription"
    body = {"plan": "premium", "state": "active"}
    for role, status in (("billing", 200), ("operator", 200), ("catalog", 403), ("edge", 403)):
        headers = bearer(world.admin_token(role))  # type: ignore[arg-type]  # roles, by their text
        async with client.put(path, json=body, headers=headers) as answer:
            assert answer.status == status
            assert "Access-Control-Allow-Origin" not in answer.headers
    async with client.put(path, json=body, headers=bearer(world.access_token())) as answer:
        assert answer.status == 401


async def test_refusals_of_agents_show_no_more_than_they_must(
    world: World, client: aiohttp.ClientSession
) -> None:
    world.asker.answers[OpenSession] = lambda _: Refused(
        status=403, reason="concurrent-streams", facts={"sessions": ["one", "two"]}
    )
    body = {"content_id": "title-1", "profile_id": PROFILE_ID, "device": {"device_id": "tv"}}
    headers = bearer(world.access_token())
    async with client.post("/v1/sessions", json=body, headers=headers) as answer:
        assert answer.status == 403
        problem = await answer.json(content_type=None)
    assert problem["reason"] == "concurrent-streams"
    assert problem["facts"] == {"sessions": ["one", "two"]}
    bodies = set()
    for detail in ("there is none", "it is another's"):
        world.asker.answers[OpenSession] = lambda _, detail=detail: Refused(  # type: ignore[misc]  # bound now
            status=404, reason="unknown-profile", detail=detail
        )
        async with client.post("/v1/sessions", json=body, headers=headers) as answer:
            bodies.add((answer.status, await answer.text()))
    assert len(bodies) == 1
