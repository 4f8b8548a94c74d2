"""The demo viewer: signed up through the gateway like anybody, with a premium subscription."""

from __future__ import annotations

import secrets
from pathlib import Path

import aiohttp
import msgspec

from infra.deployment import Deployment
from infra.keys.files import read_private, write_private
from infra.operations.operator import CALL_TOKEN_S, operator_token
from schemas.errors import PlayheadError

EMAIL = "demo@playhead.example"
PROFILES = (
    {"name": "Ada", "language": "en", "maturity": 18},
    {"name": "Kids", "language": "en", "maturity": 6},
)


class DemoCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """Who signs in on the demo page."""

    email: str
    password: str


def demo_credentials(deployment: Deployment) -> DemoCredentials:
    """This deployment's own, made at the first call."""
    file = deployment.keys / "demo.json"
    if not file.exists():
        made = DemoCredentials(email=EMAIL, password=secrets.token_urlsafe(9))
        write_private(file, msgspec.json.encode(made))
    return msgspec.json.decode(read_private(file), type=DemoCredentials)


def page_settings(deployment: Deployment) -> dict[str, str]:
    """What the player page is told, so that one click signs the demo viewer in."""
    if not deployment.settings.demo:
        return {}
    credentials = demo_credentials(deployment)
    return {"demo_email": credentials.email, "demo_password": credentials.password}


async def ensure_demo_account(deployment: Deployment) -> DemoCredentials:
    """Sign the demo viewer up, subscribe and add profiles, where that was not done yet.

    Raises PlayheadError with the gateway's answer where it refuses.
    """
    credentials = demo_credentials(deployment)
    grant = {
        "grant_type": "password",
        "username": credentials.email,
        "password": credentials.password,
    }
    async with aiohttp.ClientSession(deployment.gateway_url()) as http:
        if (await http.post("/v1/tokens", json=grant)).status == 200:
            return credentials
        signed_up = await http.post("/v1/accounts", json=msgspec.to_builtins(credentials))
        account = await _body_of(signed_up)
        billing = operator_token(
            deployment, "billing", subject="demo set-up", lifetime_s=CALL_TOKEN_S
        )
        subscription = await http.put(
            f"/v1/admin/accounts/{account['account_id']}/subscription",
            json={"plan": "premium", "state": "active"},
            headers={"Authorization": f"Bearer {billing}"},
        )
        await _body_of(subscription)
        signed_in = await http.post("/v1/tokens", json=grant)
        bearer = {"Authorization": f"Bearer {(await _body_of(signed_in))['access_token']}"}
        for profile in PROFILES:
            await _body_of(await http.post("/v1/profiles", json=profile, headers=bearer))
    return credentials


async def _body_of(response: aiohttp.ClientResponse) -> dict[str, str]:
    body = await response.json(content_type=None)
    if response.status >= 400:
        where = Path(response.url.path)
        raise PlayheadError(f"the gateway refused {where} ({response.status}): {body}")
    result: dict[str, str] = body
    return result
