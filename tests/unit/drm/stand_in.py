"""Stand-ins of upstream license services: each checks what it is told as the real one does.

They know the vendors' formats by themselves, and use nothing of the gateway's.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

import jwt
from aiohttp import web
from aiohttp.test_utils import TestServer

LICENSE = b"a license that only the device can read"


class StandIn:
    """One license service; what reaches it is kept, and it may be told to misbehave."""

    def __init__(self, grants: Callable[[web.Request, bytes], Awaitable[str]]) -> None:
        """`grants` gives an empty text, or why it refuses."""
        self._grants = grants
        self.messages: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.said: list[str] = []
        self.misbehave: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        message = await request.read()
        self.messages.append(message)
        self.headers.append(dict(request.headers))
        if self.misbehave is not None:
            return await self.misbehave(request)
        refusal = await self._grants(request, message)
        self.said.append(refusal)
        if refusal:
            return web.Response(status=403, text=refusal)
        return web.Response(body=LICENSE, content_type="application/octet-stream")


@asynccontextmanager
async def listening(stand_in: StandIn) -> AsyncIterator[str]:
    """Its URL."""
    app = web.Application()
    app.router.add_post("/AcquireLicense", stand_in.handle)
    server = TestServer(app)
    await server.start_server()
    try:
        yield str(server.make_url("/AcquireLicense"))
    finally:
        await server.close()


def axinom(
    keys: dict[str, bytes], asked: Callable[[bytes], set[str]], now_s: Callable[[], float]
) -> StandIn:
    """Communication keys by id; any key that the message does not name denies the license whole."""

    async def grants(request: web.Request, message: bytes) -> str:
        token = request.headers.get("X-AxDRM-Message", "")
        try:
            com_key_id = jwt.decode(token, options={"verify_signature": False})["com_key_id"]
            envelope = jwt.decode(token, keys[com_key_id], algorithms=["HS256"])
        except (jwt.InvalidTokenError, KeyError):
            return "signature"
        if datetime.fromisoformat(envelope["expiration_date"]).timestamp() <= now_s():
            return "expired"
        entitlement = envelope["message"]
        if (entitlement["type"], entitlement["version"]) != ("entitlement_message", 2):
            return "version"
        policies = {policy["name"] for policy in entitlement["content_key_usage_policies"]}
        named = entitlement["content_keys_source"]["inline"]
        if any(key["usage_policy"] not in policies for key in named):
            return "policy"
        return "" if asked(message) <= {UUID(key["id"]).hex for key in named} else "keys"

    return StandIn(grants)


def drmtoday(
    secrets: dict[str, bytes],
    merchant: str,
    asset: Callable[[bytes], str],
    now_s: Callable[[], float],
) -> StandIn:
    """Shared secrets by id; a token counts once, and for its asset."""
    seen: set[str] = set()

    async def grants(request: web.Request, message: bytes) -> str:
        token = request.headers.get("x-dt-auth-token", "")
        options = {"verify_exp": False, "verify_iat": False, "require": ["jti", "iat"]}
        try:
            secret = secrets[jwt.get_unverified_header(token)["kid"]]
            claims = jwt.decode(token, secret, algorithms=["HS512"], options=options)  # type: ignore[arg-type]  # its options are untyped
        except (jwt.InvalidTokenError, KeyError):
            return "signature"
        if claims["exp"] <= now_s() or claims["jti"] in seen:
            return "expired"
        seen.add(claims["jti"])
        if json.loads(claims["optData"])["merchant"] != merchant:
            return "merchant"
        rights = json.loads(claims["crt"])
        return "" if asset(message) in {right["assetId"] for right in rights} else "asset"

    return StandIn(grants)


def proxy(api_key: str) -> StandIn:
    """Knows its clients by a header."""

    async def grants(request: web.Request, message: bytes) -> str:
        return "" if request.headers.get("X-Api-Key") == api_key else "api key"

    return StandIn(grants)
