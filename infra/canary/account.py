"""The canary's own account: signed up like anybody, on the plan that marks what it does."""

from __future__ import annotations

import secrets

import aiohttp
import msgspec

from infra.deployment import Deployment
from infra.keys.files import read_private, write_private
from infra.operations.operator import CALL_TOKEN_S, operator_token
from schemas.accounts import CANARY_PLAN
from schemas.errors import PlayheadError

EMAIL = "canary@playhead.invalid"
TIMEOUT_S = 15


class CanaryCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """Kept in the key folder."""

    email: str
    password: str

    def __repr__(self) -> str:
        return "CanaryCredentials(***)"


def canary_credentials(deployment: Deployment) -> CanaryCredentials:
    """This deployment's own, made at the first call."""
    file = deployment.keys / "canary.json"
    if not file.exists():
        made = CanaryCredentials(email=EMAIL, password=secrets.token_urlsafe(24))
        write_private(file, msgspec.json.encode(made))
    return msgspec.json.decode(read_private(file), type=CanaryCredentials)


class ProbeError(PlayheadError):
    """The gateway said no; the message says where and why."""

    def __init__(self, said: str, status: int = 0) -> None:
        super().__init__(said)
        self.status = status


async def send(
    http: aiohttp.ClientSession, method: str, path: str, body: object = None, token: str = ""
) -> dict[str, object]:
    """The JSON object of a good answer. Raises ProbeError."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        async with http.request(method, path, json=body, headers=headers) as response:
            content = await response.read()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise ProbeError(f"{method} {_shown(path)}: {type(error).__name__}") from error
    try:
        answer = msgspec.json.decode(content) if content else {}
    except msgspec.DecodeError:
        answer = {}
    said = answer if isinstance(answer, dict) else {}
    if response.status >= 400:
        reason = said.get("reason", "")
        said_so = f"{method} {_shown(path)}: {response.status} {reason}".strip()
        raise ProbeError(said_so, response.status)
    return said


async def sign_in(http: aiohttp.ClientSession, deployment: Deployment) -> tuple[str, str]:
    """An access token and the profile; the account is made at the first call. Raises ProbeError."""
    credentials = canary_credentials(deployment)
    grant = {
        "grant_type": "password",
        "username": credentials.email,
        "password": credentials.password,
    }
    try:
        token = str((await send(http, "POST", "/v1/tokens", grant))["access_token"])
    except ProbeError as error:
        if "invalid-grant" not in str(error):
            raise
        await _sign_up(http, deployment, credentials)
        token = str((await send(http, "POST", "/v1/tokens", grant))["access_token"])
    account = await send(http, "GET", "/v1/account", token=token)
    profiles = account.get("profiles")
    if not isinstance(profiles, list) or not profiles:
        profiles = [await send(http, "POST", "/v1/profiles", {"name": "Canary"}, token)]
    return token, str(profiles[0]["profile_id"])


async def _sign_up(
    http: aiohttp.ClientSession, deployment: Deployment, credentials: CanaryCredentials
) -> None:
    account = await send(http, "POST", "/v1/accounts", msgspec.to_builtins(credentials))
    billing = operator_token(
        deployment, "billing", subject="canary set-up", lifetime_s=CALL_TOKEN_S
    )
    path = f"/v1/admin/accounts/{account['account_id']}/subscription"
    await send(http, "PUT", path, {"plan": CANARY_PLAN, "state": "active"}, billing)


def _shown(path: str) -> str:
    """Session tokens stand in paths."""
    return "/s/…/" + path.rpartition("/")[2] if "/s/" in path else path
