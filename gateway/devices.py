"""A viewer's devices: the license agent owns them, the account agent keeps what they are called."""

from __future__ import annotations

import asyncio

from aiohttp import web

from gateway.accounts import seal_credentials
from gateway.answers import answer, nothing
from gateway.bodies import DeviceAnswer, DeviceChange, DevicesAnswer
from gateway.gateway import Gateway, gateway_of
from gateway.problems import ProblemError
from schemas.accounts import Credentials, DeviceNames, Done, GetDeviceNames, NameDevice
from schemas.errors import RetryableError
from schemas.sessions import Devices, ListDevices, RemoveDevice
from streams.requests import RefusedError
from streams.topics import ACCOUNT_REQUESTS, LICENSE_REQUESTS


async def get_devices(request: web.Request) -> web.Response:
    """Devices, what they are called, and their running sessions."""
    gateway = gateway_of(request)
    viewer = await gateway.auth.viewer(request)
    devices, names = await asyncio.gather(
        _registered(gateway, viewer.account_id), _names(gateway, viewer.account_id)
    )
    return answer(DevicesAnswer(devices=tuple(DeviceAnswer.of(d, names) for d in devices.devices)))


async def change_device(request: web.Request) -> web.Response:
    """The device under its new name."""
    gateway = gateway_of(request)
    viewer = await gateway.auth.viewer(request)
    body: DeviceChange = await gateway.read_json(request, DeviceChange)
    device_id, name = request.match_info["device_id"], body.name or ""
    devices = (await _registered(gateway, viewer.account_id)).devices
    device = next((each for each in devices if each.device_id == device_id), None)
    if device is None:
        raise ProblemError(404, "unknown-device")
    await _name(gateway, viewer.account_id, device_id, name)
    return answer(DeviceAnswer.of(device, {device_id: name}))


async def delete_device(request: web.Request) -> web.Response:
    """Forgets the device and its name, and ends its sessions: 204."""
    gateway = gateway_of(request)
    viewer = await gateway.auth.viewer(request)
    device_id = request.match_info["device_id"]
    command = RemoveDevice(account_id=viewer.account_id, device_id=device_id)
    await gateway.ask(LICENSE_REQUESTS, viewer.account_id, command, Devices | Done)
    if device_id in await _names(gateway, viewer.account_id):
        await _name(gateway, viewer.account_id, device_id, "")
    return nothing()


async def _registered(gateway: Gateway, account_id: str) -> Devices:
    question = ListDevices(account_id=account_id)
    devices: Devices = await gateway.ask(LICENSE_REQUESTS, account_id, question, Devices)
    return devices


async def _names(gateway: Gateway, account_id: str) -> dict[str, str]:
    """A convenience: while the account agent is away, devices have no names."""
    question = GetDeviceNames(account_id=account_id)
    try:
        named: DeviceNames = await gateway.ask(
            ACCOUNT_REQUESTS,
            account_id,
            question,
            DeviceNames,
            deadline_ms=gateway.limits.device_names_deadline_ms,
        )
    except (RetryableError, RefusedError):
        return {}
    return named.names


async def _name(gateway: Gateway, account_id: str, device_id: str, name: str) -> None:
    sealed = seal_credentials(gateway, account_id, Credentials(device_name=name))
    command = NameDevice(account_id=account_id, device_id=device_id, sealed=sealed)
    await gateway.ask(ACCOUNT_REQUESTS, account_id, command, Done)
