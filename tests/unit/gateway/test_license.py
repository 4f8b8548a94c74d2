from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest

from schemas.envelope import Refused
from schemas.ids import base64url
from schemas.licenses import BoundKeys, Keys
from schemas.sessions import GetKeys, OpenSession
from tests.gateway_fakes import World
from tests.unit.gateway.answering import let_all_answer
from tests.unit.gateway.opened import KEY_ID, KID, open_session


async def test_a_license_is_asked_once_however_often_players_do(
    world: World, client: aiohttp.ClientSession
) -> None:
    """hls.js opens the same license dozens of times at once."""
    let_all_answer(world)
    _, token = open_session(world)
    body = json.dumps({"kids": [KID], "type": "temporary"})

    async def ask() -> Any:
        async with client.post(f"/s/{token}/license?CMCD=sid%3D%22x%22", data=body) as answer:
            assert answer.status == 200
            assert answer.headers["Cache-Control"] == "no-store"
            return await answer.json()

    answers = await asyncio.gather(*(ask() for _ in range(12)))
    assert all(each == answers[0] for each in answers)
    assert answers[0] == {
        "keys": [{"kty": "oct", "kid": KID, "k": base64url(b"k" * 16)}],
        "type": "temporary",
    }
    asked = [q for _, _, q in world.asker.asked if isinstance(q, GetKeys)]
    assert 1 <= len(asked) < 12
    assert asked[0].key_ids == (KEY_ID,)


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'{"kids":[]}', b'{"kids":["short"]}', b'{"kids":[3]}', b'{"kids":"x"}', b"[1"],
)
async def test_broken_license_requests_are_400(
    world: World, client: aiohttp.ClientSession, body: bytes
) -> None:
    _, token = open_session(world)
    async with client.post(f"/s/{token}/license", data=body) as answer:
        assert answer.status == 400
    assert not world.asker.asked


async def test_a_foreign_or_unknown_key_is_403(world: World, client: aiohttp.ClientSession) -> None:
    _, token = open_session(world)
    world.asker.answers[GetKeys] = lambda _: Refused(status=403, reason="foreign-key")
    async with client.post(f"/s/{token}/license", json={"kids": [KID]}) as answer:
        assert (answer.status, (await answer.json(content_type=None))["reason"]) == (
            403,
            "foreign-key",
        )
    world.asker.answers[GetKeys] = lambda _: Keys(keys=())
    async with client.get(f"/s/{token}/key/{KEY_ID}") as answer:
        assert answer.status == 403
    async with client.get(f"/s/{token}/key/zz") as answer:
        assert answer.status == 400


@pytest.mark.parametrize("kid", [KEY_ID, KID, "00010203-0405-0607-0809-0a0b0c0d0e0f"])
async def test_a_raw_key_is_sixteen_bytes(
    world: World, client: aiohttp.ClientSession, kid: str
) -> None:
    let_all_answer(world)
    _, token = open_session(world)
    async with client.get(f"/s/{token}/key/{kid}") as answer:
        assert await answer.read() == b"k" * 16
        assert answer.content_type == "application/octet-stream"
        assert answer.headers["Cache-Control"] == "no-store"


async def test_an_unavailable_license_is_told_slowly(
    world: World, client: aiohttp.ClientSession
) -> None:
    _, token = open_session(world)
    started_s = time.monotonic()
    async with client.get(f"/s/{token}/key/{KEY_ID}") as answer:
        assert answer.status == 503
    assert time.monotonic() - started_s >= 1.0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "license/widevine"),
        ("POST", "license/playready"),
        ("POST", "license/fairplay"),
        ("GET", "certificate/fairplay"),
    ],
)
async def test_the_multi_drm_doors_are_not_connected(
    world: World, client: aiohttp.ClientSession, method: str, path: str
) -> None:
    _, token = open_session(world)
    async with client.request(method, f"/s/{token}/{path}") as answer:
        assert answer.status == 501
        assert (await answer.json(content_type=None))["reason"] == "no-upstream"


async def test_keys_for_a_device_are_passed_on_sealed(
    world: World, client: aiohttp.ClientSession
) -> None:
    sid, token = open_session(world)
    world.asker.answers[GetKeys] = lambda question: BoundKeys(
        key_ids=question.key_ids, device_id="tv", sealed=b"sealed"
    )
    body = {"kids": [KID, KID], "nonce": "n" * 16}
    async with client.post(f"/s/{token}/license/device", json=body) as answer:
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "no-store"
        assert await answer.json() == {
            "session_id": sid,
            "device_id": "tv",
            "nonce": "n" * 16,
            "key_ids": [KEY_ID],
            "sealed": base64url(b"sealed"),
        }
    ((_, _, question),) = world.asker.asked
    assert isinstance(question, GetKeys)
    assert (question.system, question.nonce, question.key_ids) == ("device", "n" * 16, (KEY_ID,))


@pytest.mark.parametrize(
    "body",
    [
        {"kids": [KID]},
        {"kids": [KID], "nonce": "short"},
        {"kids": [KID], "nonce": "n" * 65},
        {"kids": [KID], "nonce": "ü" * 16},
        {"kids": [], "nonce": "n" * 16},
        {"kids": ["short"], "nonce": "n" * 16},
        {"kids": [KID], "nonce": "n" * 16, "public_key": "x"},
    ],
)
async def test_broken_requests_for_a_devices_keys_are_400(
    world: World, client: aiohttp.ClientSession, body: Any
) -> None:
    _, token = open_session(world)
    async with client.post(f"/s/{token}/license/device", json=body) as answer:
        assert answer.status == 400
    assert not world.asker.asked


@pytest.mark.parametrize("public_key", ["short", base64url(bytes(32)), "=" * 43, 7])
async def test_a_device_key_that_nothing_can_be_sealed_to_opens_no_session(
    world: World, client: aiohttp.ClientSession, public_key: Any
) -> None:
    let_all_answer(world)
    body = {
        "content_id": "tears",
        "profile_id": "profile-1",
        "device": {"device_id": "tv", "public_key": public_key},
    }
    headers = {"Authorization": f"Bearer {world.access_token()}"}
    async with client.post("/v1/sessions", json=body, headers=headers) as answer:
        assert answer.status == 400
    assert not any(isinstance(question, OpenSession) for _, _, question in world.asker.asked)
