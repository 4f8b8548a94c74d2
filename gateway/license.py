"""Licenses: W3C ClearKey for players, raw keys for HLS, keys sealed to a device.

The license agent decides each.
"""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

from aiohttp import web

from gateway.answers import NO_STORE, answer, read_as
from gateway.bodies import (
    DeviceLicenseAnswer,
    DeviceLicenseRequest,
    LicenseAnswer,
    LicensedKey,
    LicenseRequest,
)
from gateway.gateway import Gateway, gateway_of
from gateway.measuring import measure_request
from gateway.problems import ProblemError
from gateway.region import Place
from schemas.errors import InvalidMessageError
from schemas.ids import base64url, key_id_from_base64url
from schemas.licenses import BoundKeys, Keys
from schemas.sessions import GetKeys, SessionClaims
from streams.topics import LICENSE_REQUESTS

_HEX: Final = re.compile(r"[0-9a-fA-F]{32}")


async def post_license(request: web.Request) -> web.Response:
    """The entitled subset of the asked keys. Judged by body: players name no media type."""
    gateway = gateway_of(request)
    claims = gateway.auth.session(request.match_info["session_token"])
    measure_request(gateway, request, claims)
    body = await gateway.intake.read(request, gateway.limits.body_bytes_max)
    asked: LicenseRequest = read_as(body, LicenseRequest)
    key_ids = _key_ids(asked.kids)
    place = gateway.place(request)
    license_ = await gateway.licenses.run(
        (claims.sid, key_ids, place.region, place.anonymizers),
        lambda: _license(gateway, claims, key_ids, place),
    )
    return answer(license_, headers=NO_STORE)


async def get_key(request: web.Request) -> web.Response:
    """16 bytes, for HLS identity keys; the key id in hex, as UUID or base64url."""
    gateway = gateway_of(request)
    claims = gateway.auth.session(request.match_info["session_token"])
    measure_request(gateway, request, claims)
    key_id = read_key_id(request.match_info["kid"])
    place = gateway.place(request)
    question = GetKeys(
        account_id=claims.account_id,
        session_id=claims.sid,
        key_ids=(key_id,),
        system="identity",
        region=place.region,
        anonymizers=place.anonymizers,
    )
    keys: Keys = await gateway.ask(LICENSE_REQUESTS, claims.account_id, question, Keys)
    found = next((each.key for each in keys.keys if each.key_id == key_id), None)
    if found is None:
        raise ProblemError(403, "unknown-key")
    headers = {**NO_STORE, "Content-Type": "application/octet-stream"}
    return web.Response(body=found, headers=headers)


async def post_device_license(request: web.Request) -> web.Response:
    """Keys that only the device can read whose public key the session was opened with."""
    gateway = gateway_of(request)
    claims = gateway.auth.session(request.match_info["session_token"])
    asked: DeviceLicenseRequest = await gateway.read_json(request, DeviceLicenseRequest)
    place = gateway.place(request)
    question = GetKeys(
        account_id=claims.account_id,
        session_id=claims.sid,
        key_ids=_key_ids(asked.kids),
        system="device",
        region=place.region,
        anonymizers=place.anonymizers,
        nonce=asked.nonce,
    )
    keys: BoundKeys = await gateway.ask(LICENSE_REQUESTS, claims.account_id, question, BoundKeys)
    bound = DeviceLicenseAnswer(
        session_id=claims.sid,
        device_id=keys.device_id,
        nonce=asked.nonce,
        key_ids=keys.key_ids,
        sealed=base64url(keys.sealed),
    )
    return answer(bound, headers=NO_STORE)


def read_key_id(text: str) -> str:
    """The hex form; ProblemError 400."""
    if _HEX.fullmatch(text):
        return text.lower()
    try:
        return UUID(text).hex if len(text) == 36 else key_id_from_base64url(text)
    except (ValueError, InvalidMessageError) as error:
        raise ProblemError(400, "key-id", "16 bytes in hex, as UUID or in base64url") from error


def _key_ids(kids: tuple[str, ...]) -> tuple[str, ...]:
    """In hex, sorted, once each; ProblemError 400."""
    try:
        return tuple(sorted({key_id_from_base64url(kid) for kid in kids}))
    except InvalidMessageError as error:
        raise ProblemError(400, error.reason, error.detail) from error


async def _license(
    gateway: Gateway, claims: SessionClaims, key_ids: tuple[str, ...], place: Place
) -> LicenseAnswer:
    question = GetKeys(
        account_id=claims.account_id,
        session_id=claims.sid,
        key_ids=key_ids,
        region=place.region,
        anonymizers=place.anonymizers,
    )
    keys: Keys = await gateway.ask(LICENSE_REQUESTS, claims.account_id, question, Keys)
    return LicenseAnswer(
        keys=tuple(
            LicensedKey(kid=base64url(bytes.fromhex(each.key_id)), k=base64url(each.key))
            for each in keys.keys
        )
    )
