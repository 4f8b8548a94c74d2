"""Erasing an account: each agent is told to let go of what it owns, the account's own one first."""

from __future__ import annotations

import asyncio

from aiohttp import web

from gateway.answers import nothing
from gateway.gateway import Gateway, gateway_of
from gateway.problems import ProblemError
from schemas.accounts import Done, EraseAccount
from schemas.recommendations import ForgetProfile, ProfileForgotten
from schemas.sessions import Devices, ListDevices, RemoveDevice
from streams.topics import ACCOUNT_REQUESTS, LICENSE_REQUESTS, RECOMMENDATION_REQUESTS

PROFILES_MAX = 64


async def erase_account(request: web.Request) -> web.Response:
    """204, also where it was done before or there is no such account."""
    gateway = gateway_of(request)
    gateway.auth.admin(request, "operator")
    account_id = request.match_info["account_id"]
    profiles = [each for each in request.query.get("profile", "").split(",") if each]
    if len(profiles) > PROFILES_MAX:
        raise ProblemError(400, "profiles", f"at most {PROFILES_MAX} at a time")
    await gateway.ask(ACCOUNT_REQUESTS, account_id, EraseAccount(account_id=account_id), Done)
    # From here on the account opens no session; those that it has end with their devices.
    await _forget_devices(gateway, account_id)
    await asyncio.gather(*(forget_profile(gateway, each) for each in profiles))
    return nothing()


async def _forget_devices(gateway: Gateway, account_id: str) -> None:
    question = ListDevices(account_id=account_id)
    found: Devices = await gateway.ask(LICENSE_REQUESTS, account_id, question, Devices)
    for device in found.devices:
        command = RemoveDevice(account_id=account_id, device_id=device.device_id)
        await gateway.ask(LICENSE_REQUESTS, account_id, command, Devices | Done)


async def forget_profile(gateway: Gateway, profile_id: str) -> None:
    """What it said of titles and its rows are no more."""
    command = ForgetProfile(profile_id=profile_id)
    await gateway.ask(RECOMMENDATION_REQUESTS, profile_id, command, ProfileForgotten)
