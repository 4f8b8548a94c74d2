"""Accounts of their own for tests, made over the API as any client would."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from infra.operations.operator import CALL_TOKEN_S, operator_token
from tests.e2e.stack import RunningStack


class TestViewer(msgspec.Struct, frozen=True, kw_only=True):
    """Who signs in, and the account's profiles by name."""

    __test__ = False

    account_id: str
    email: str
    password: str
    profiles: dict[str, str]


async def make_viewer(
    stack: RunningStack,
    *,
    plan: str = "premium",
    state: str = "active",
    profiles: tuple[str, ...] = ("Ada",),
) -> TestViewer:
    """A new account with this subscription and these profiles."""
    email = f"{secrets.token_hex(6)}@viewers.example"
    password = secrets.token_urlsafe(12)
    async with aiohttp.ClientSession(stack.url) as http:
        credentials = {"email": email, "password": password}
        account = await _done(http.post("/v1/accounts", json=credentials))
        await _done(
            http.put(
                f"/v1/admin/accounts/{account['account_id']}/subscription",
                json={"plan": plan, "state": state},
                headers={"Authorization": f"Bearer {billing_token(stack)}"},
            )
        )
        bearer = await _bearer(http, email, password)
        made = {
            name: (await _done(http.post("/v1/profiles", json={"name": name}, headers=bearer)))[
                "profile_id"
            ]
            for name in profiles
        }
    return TestViewer(
        account_id=account["account_id"], email=email, password=password, profiles=made
    )


@asynccontextmanager
async def signed_in(
    stack: RunningStack, viewer: TestViewer
) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the API beside the page."""
    async with aiohttp.ClientSession(stack.url) as http:
        bearer = await _bearer(http, viewer.email, viewer.password)
        async with aiohttp.ClientSession(stack.url, headers=bearer) as client:
            yield client


async def rows_of(
    client: aiohttp.ClientSession, profile_id: str
) -> dict[str, list[dict[str, Any]]]:
    """A profile's recommendations: items by row."""
    told = await _done(client.get(f"/v1/profiles/{profile_id}/recommendations"))
    return {row["row"]: row["items"] for row in told["rows"]}


def billing_token(stack: RunningStack) -> str:
    """As `playhead admin token create --role billing` makes it."""
    return operator_token(
        stack.deployment, "billing", subject="end-to-end tests", lifetime_s=CALL_TOKEN_S
    )


async def _bearer(http: aiohttp.ClientSession, email: str, password: str) -> dict[str, str]:
    grant = {"grant_type": "password", "username": email, "password": password}
    tokens = await _done(http.post("/v1/tokens", json=grant))
    return {"Authorization": f"Bearer {tokens['access_token']}"}


async def _done(request: Any) -> dict[str, Any]:
    async with request as response:
        body: dict[str, Any] = await response.json(content_type=None)
        assert response.status < 300, body
        return body
