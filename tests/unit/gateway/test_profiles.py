from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from schemas import codec
from schemas.accounts import (
    CreateProfile,
    Credentials,
    GetDeviceNames,
    NameDevice,
    PinProof,
    SetPin,
    UnlockProfile,
    UpdateProfile,
    credentials_info,
)
from schemas.envelope import Refused
from schemas.recommendations import RefreshProfile
from schemas.sessions import Devices, ListDevices, OpenSession
from streams.sealing import unseal
from tests.gateway_fakes import NOW_MS, World
from tests.unit.gateway.answering import PROFILE_ID, let_all_answer
from tests.unit.gateway.wire_events import bearer

ACCOUNT_ID = "8f14e45f-ceea-867a-9a2e-2a3ed5a55a4d"
SESSION = {"content_id": "title-1", "profile_id": PROFILE_ID, "device": {"device_id": "tv"}}


def opened(world: World, command: Any) -> Credentials:
    sealing = world.directory.identity("account").sealing
    text = unseal(command.sealed, sealing, credentials_info(command.account_id))
    decoder: codec.Decoder[Credentials] = codec.Decoder(Credentials)
    return decoder.decode(text)


def asked(world: World, type_: Any) -> Any:
    return next(body for _, _, body in reversed(world.asker.asked) if isinstance(body, type_))


async def test_a_pin_reaches_the_agent_only_sealed(
    world: World, client: aiohttp.ClientSession
) -> None:
    let_all_answer(world)
    headers = bearer(world.access_token(ACCOUNT_ID))
    path = f"/v1/profiles/{PROFILE_ID}"
    body = {"pin": "4711", "password": "long enough"}
    async with client.put(f"{path}/pin", json=body, headers=headers) as answer:
        assert answer.status == 200
        assert (await answer.json())["profile_id"] == PROFILE_ID
    async with client.post(f"{path}/unlock", json={"pin": "4711"}, headers=headers) as answer:
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "no-store"
        assert set(await answer.json()) == {"profile_token", "expires_at"}
    for _, _, command in world.asker.asked:
        assert b"4711" not in codec.encode(command)
    assert opened(world, asked(world, SetPin)) == Credentials(pin="4711", password="long enough")
    assert opened(world, asked(world, UnlockProfile)) == Credentials(pin="4711")
    async with client.put(f"{path}/pin", json={"pin": None}, headers=headers) as answer:
        assert answer.status == 200
    assert opened(world, asked(world, SetPin)).pin == ""


async def test_a_name_reaches_the_agent_only_sealed(
    world: World, client: aiohttp.ClientSession
) -> None:
    let_all_answer(world)
    headers = bearer(world.access_token(ACCOUNT_ID))
    body = {"name": "Countess of Lovelace"}
    async with client.post("/v1/profiles", json=body, headers=headers) as answer:
        assert answer.status == 201
    async with client.patch(f"/v1/profiles/{PROFILE_ID}", json=body, headers=headers) as answer:
        assert answer.status == 200
    for _, _, command in world.asker.asked:
        assert b"Lovelace" not in codec.encode(command)
    for type_ in (CreateProfile, UpdateProfile):
        assert opened(world, asked(world, type_)).profile_name == "Countess of Lovelace"
    body = {"language": "de"}
    async with client.patch(f"/v1/profiles/{PROFILE_ID}", json=body, headers=headers) as answer:
        assert answer.status == 200
    assert asked(world, UpdateProfile).sealed is None


@pytest.mark.parametrize("pin", ["", "123", "123456789", "12ab", "१२३४", 1234])
async def test_what_is_no_pin_is_400(world: World, client: aiohttp.ClientSession, pin: Any) -> None:
    let_all_answer(world)
    headers = bearer(world.access_token())
    path = f"/v1/profiles/{PROFILE_ID}"
    for method, where in (("PUT", f"{path}/pin"), ("POST", f"{path}/unlock")):
        async with client.request(method, where, json={"pin": pin}, headers=headers) as answer:
            assert answer.status == 400
    assert world.asker.asked == []


async def test_a_wrong_pin_is_403_and_one_too_many_429(
    world: World, client: aiohttp.ClientSession
) -> None:
    headers = bearer(world.access_token())
    for refused in (Refused(status=403, reason="pin"), Refused(status=429, reason="slow")):
        world.asker.answers[UnlockProfile] = lambda _, refused=refused: refused  # type: ignore[misc]  # bound now
        async with client.post(
            f"/v1/profiles/{PROFILE_ID}/unlock", json={"pin": "4711"}, headers=headers
        ) as answer:
            assert answer.status == refused.status


async def test_a_profile_token_goes_with_changes_and_sessions_of_its_own_account(
    world: World, client: aiohttp.ClientSession
) -> None:
    let_all_answer(world)
    own = world.profile_token(ACCOUNT_ID, PROFILE_ID, NOW_MS)
    foreign = world.profile_token("another", PROFILE_ID, NOW_MS)
    other_profile = world.profile_token(ACCOUNT_ID, "other", NOW_MS)
    bare = bearer(world.access_token(ACCOUNT_ID))
    for token, is_proof, opens in (
        (own, True, True),
        (foreign, False, False),
        (other_profile, True, False),
        (own[:-2] + "AA", False, False),
        ("", False, False),
        (world.access_token(ACCOUNT_ID), False, False),
    ):
        headers = bare | {"Profile-Token": token}
        path = f"/v1/profiles/{PROFILE_ID}"
        async with client.patch(path, json={"name": "Ada"}, headers=headers) as answer:
            assert answer.status == 200
        proof = asked(world, UpdateProfile).proof
        assert (proof is not None) == is_proof
        if token == own:
            assert proof == PinProof(profile_id=PROFILE_ID, pin_set_at_ms=NOW_MS)
        async with client.post("/v1/sessions", json=SESSION, headers=headers) as answer:
            assert answer.status == 201
        question = asked(world, OpenSession)
        assert (question.unlocked_pin_set_at_ms == NOW_MS) == opens
        assert question.token_version == 1


async def test_an_expired_profile_token_proves_nothing(
    world: World, client: aiohttp.ClientSession
) -> None:
    let_all_answer(world)
    token = world.profile_token(ACCOUNT_ID, PROFILE_ID, NOW_MS)
    world.clock.now_ms += 4 * 3_600_000 + 10_000
    headers = bearer(world.access_token(ACCOUNT_ID)) | {"Profile-Token": token}
    async with client.post("/v1/sessions", json=SESSION, headers=headers) as answer:
        assert answer.status == 201
    assert asked(world, OpenSession).unlocked_pin_set_at_ms is None


async def test_a_viewer_names_a_device_and_sees_the_name(
    world: World, client: aiohttp.ClientSession
) -> None:
    let_all_answer(world)
    headers = bearer(world.access_token(ACCOUNT_ID))
    async with client.get("/v1/devices", headers=headers) as answer:
        (device,) = (await answer.json())["devices"]
    assert (device["device_id"], device["name"]) == ("tv", "Living room")
    async with client.patch(
        "/v1/devices/tv", json={"name": "Ada's television"}, headers=headers
    ) as answer:
        assert answer.status == 200
        assert (await answer.json())["name"] == "Ada's television"
    command = asked(world, NameDevice)
    assert b"Ada" not in codec.encode(command)
    assert opened(world, command).device_name == "Ada's television"
    for body in ({}, {"name": ""}, {"name": "x" * 65}, {"name": 1}):
        async with client.patch("/v1/devices/tv", json=body, headers=headers) as answer:
            assert answer.status == 400
    async with client.patch("/v1/devices/absent", json={"name": "x"}, headers=headers) as answer:
        assert answer.status == 404
    async with client.delete("/v1/devices/tv", headers=headers) as answer:
        assert answer.status == 204
    assert opened(world, asked(world, NameDevice)).device_name == ""


async def test_devices_need_their_agent(world: World, client: aiohttp.ClientSession) -> None:
    let_all_answer(world)
    del world.asker.answers[ListDevices]
    headers = bearer(world.access_token())
    async with client.get("/v1/devices", headers=headers) as answer:
        assert answer.status == 503
    let_all_answer(world)
    del world.asker.answers[GetDeviceNames]  # names are a convenience
    async with client.get("/v1/devices", headers=headers) as answer:
        assert [each["name"] for each in (await answer.json())["devices"]] == [""]
    async with client.delete("/v1/devices/tv", headers=headers) as answer:
        assert answer.status == 204
    world.asker.answers[ListDevices] = lambda _: Devices(devices=())
    async with client.get("/v1/devices", headers=headers) as answer:
        assert (await answer.json())["devices"] == []


async def test_recommendations_are_turned_off_or_begun_anew_before_it_is_answered(
    world: World, client: aiohttp.ClientSession
) -> None:
    let_all_answer(world)
    headers = bearer(world.access_token(ACCOUNT_ID))
    path = f"/v1/profiles/{PROFILE_ID}"
    async with client.patch(path, json={"name": "Ada"}, headers=headers) as answer:
        assert answer.status == 200
    assert not any(isinstance(body, RefreshProfile) for _, _, body in world.asker.asked)
    async with client.patch(path, json={"is_personalized": False}, headers=headers) as answer:
        assert answer.status == 200
    change = asked(world, UpdateProfile)
    assert (change.is_personalized, change.forgets_watched) == (False, False)
    assert asked(world, RefreshProfile).changes.account_id == ACCOUNT_ID
    world.asker.asked.clear()
    async with client.delete(f"{path}/recommendations", headers=headers) as answer:
        assert answer.status == 204
    change = asked(world, UpdateProfile)
    assert (change.is_personalized, change.forgets_watched) == (None, True)
    assert asked(world, RefreshProfile).profile_id == PROFILE_ID
    del world.asker.answers[RefreshProfile]  # its agent is away: it must be said again
    async with client.delete(f"{path}/recommendations", headers=headers) as answer:
        assert answer.status == 503


async def test_a_pin_guards_what_recommendations_know(
    world: World, client: aiohttp.ClientSession
) -> None:
    let_all_answer(world)
    refused = Refused(status=403, reason="profile-pin")
    world.asker.answers[UpdateProfile] = lambda _: refused
    headers = bearer(world.access_token(ACCOUNT_ID))
    path = f"/v1/profiles/{PROFILE_ID}/recommendations"
    async with client.delete(path, headers=headers) as answer:
        assert answer.status == 403
    assert not any(isinstance(body, RefreshProfile) for _, _, body in world.asker.asked)
