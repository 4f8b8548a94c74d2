"""A new viewer with a subscription, and a session opened over the API as any client would."""

from __future__ import annotations

import secrets
from typing import Any

import aiohttp
import msgspec

from infra.operations.operator import CALL_TOKEN_S, operator_token
from infra.sandbox import Sandbox
from tests.restarts.film import Film

DEVICE_ID = "living-room"


class Viewing(msgspec.Struct, frozen=True, kw_only=True):
    """What a player holds after the viewer pressed Play."""

    film: Film
    email: str
    password: str
    bearer: dict[str, str]
    """The account's Authorization header."""
    session_id: str
    session_token: str
    root_url: str
    events_url: str
    license_url: str
    profile_id: str


async def open_viewing(
    sandbox: Sandbox, film: Film, http: aiohttp.ClientSession, *, plan: str = "premium"
) -> Viewing:
    """Signs up, subscribes through the billing door, signs in, opens a session."""
    root = sandbox.deployment.gateway_url()
    email, password = f"{secrets.token_hex(6)}@viewers.example", secrets.token_urlsafe(12)
    billing = operator_token(
        sandbox.deployment, "billing", subject="restart tests", lifetime_s=CALL_TOKEN_S
    )
    account = await done(
        http.post(f"{root}/v1/accounts", json={"email": email, "password": password})
    )
    await done(
        http.put(
            f"{root}/v1/admin/accounts/{account['account_id']}/subscription",
            json={"plan": plan, "state": "active"},
            headers={"Authorization": f"Bearer {billing}"},
        )
    )
    bearer = await sign_in(sandbox, http, email, password)
    profile = await done(http.post(f"{root}/v1/profiles", json={"name": "Ada"}, headers=bearer))
    opened = await open_session(sandbox, film, http, bearer, profile["profile_id"])
    return Viewing(
        film=film,
        email=email,
        password=password,
        profile_id=profile["profile_id"],
        **opened,
    )


async def open_session(
    sandbox: Sandbox,
    film: Film,
    http: aiohttp.ClientSession,
    bearer: dict[str, str],
    profile_id: str,
) -> dict[str, Any]:
    """What a `Viewing` holds of one session."""
    root = sandbox.deployment.gateway_url()
    wanted = {
        "content_id": film.content_id,
        "profile_id": profile_id,
        "device": {"device_id": DEVICE_ID, "max_height": 1080},
    }
    opened = await done(http.post(f"{root}/v1/sessions", json=wanted, headers=bearer))
    names = ("session_id", "session_token", "events_url", "license_url")
    return {name: opened[name] for name in names} | {"root_url": root, "bearer": bearer}


async def sign_in(
    sandbox: Sandbox, http: aiohttp.ClientSession, email: str, password: str
) -> dict[str, str]:
    """The Authorization header of a new access token."""
    grant = {"grant_type": "password", "username": email, "password": password}
    tokens = await done(http.post(f"{sandbox.deployment.gateway_url()}/v1/tokens", json=grant))
    return {"Authorization": f"Bearer {tokens['access_token']}"}


async def done(request: Any) -> dict[str, Any]:
    """The JSON of an answer that must be a good one."""
    async with request as response:
        body: dict[str, Any] = await response.json(content_type=None)
        assert response.status < 300, body
        return body
