"""Erasing asks every agent that owns something of the account, the account agent first."""

from __future__ import annotations

import aiohttp
import pytest

from schemas.accounts import EraseAccount
from schemas.envelope import Refused
from schemas.recommendations import ForgetProfile
from schemas.sessions import ListDevices, RemoveDevice
from schemas.tokens import AdminRole
from streams.requests import RefusedError
from tests.gateway_fakes import World
from tests.unit.gateway.answering import let_all_answer

ACCOUNT = "8f14e45f-ceea-867a-9a2e-2a3ed5a55a4d"


def bearer_of(world: World, role: AdminRole) -> dict[str, str]:
    return {"Authorization": f"Bearer {world.admin_token(role)}"}


async def test_each_owner_lets_go(world: World, client: aiohttp.ClientSession) -> None:
    let_all_answer(world)
    path = f"/v1/admin/accounts/{ACCOUNT}?profile=p1,p2"
    async with client.delete(path, headers=bearer_of(world, "operator"), json={}) as answer:
        assert answer.status == 204
    asked = [command for _, _, command in world.asker.asked]
    assert asked[0] == EraseAccount(account_id=ACCOUNT)
    assert asked[1:3] == [
        ListDevices(account_id=ACCOUNT),
        RemoveDevice(account_id=ACCOUNT, device_id="tv"),
    ]
    assert asked[3:] == [ForgetProfile(profile_id="p1"), ForgetProfile(profile_id="p2")]


@pytest.mark.parametrize("role", ["billing", "catalog", "ingest"])
async def test_only_an_operator_erases(
    world: World, client: aiohttp.ClientSession, role: AdminRole
) -> None:
    let_all_answer(world)
    headers = bearer_of(world, role)
    async with client.delete(f"/v1/admin/accounts/{ACCOUNT}", headers=headers) as answer:
        assert answer.status == 403
    assert world.asker.asked == []


async def test_while_the_account_stands_nothing_else_goes(
    world: World, client: aiohttp.ClientSession
) -> None:
    let_all_answer(world)

    def busy(_: object) -> object:
        raise RefusedError(Refused(status=503, reason="busy"))

    world.asker.answers[EraseAccount] = busy
    headers = bearer_of(world, "operator")
    async with client.delete(f"/v1/admin/accounts/{ACCOUNT}", headers=headers) as answer:
        assert answer.status == 503
    assert [type(command) for _, _, command in world.asker.asked] == [EraseAccount]
