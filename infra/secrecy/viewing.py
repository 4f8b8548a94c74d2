"""A viewer whose every secret is known, who also says them where they do not belong."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
import msgspec

from infra.bench.viewers import CONTENT_ID, list_title
from infra.faults.secrecy import Needle, needles_of_key
from infra.operations.operator import CALL_TOKEN_S, operator_token
from infra.sandbox import Sandbox
from schemas.errors import PlayheadError
from schemas.ids import uuid7
from schemas.licenses import TierKey
from streams.clock import system_clock

TIMEOUT_S: Final = 20
EVENTS: Final = 20
PROFILE: Final = "Scanning Viewer"
SOURCE: Final = "secrets-scan"
"""Of its events: what must be found where events are kept."""


class Viewer:
    """Signs up, plays, renews, and errs; `needles` are the secrets it was given or made up."""

    def __init__(self, sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
        self._deployment = sandbox.deployment
        self._sandbox = sandbox
        self._http = http
        self._root = sandbox.deployment.gateway_url()
        self.email = f"{secrets.token_hex(6)}@secrets.example"
        self._password = secrets.token_urlsafe(24)
        self.account_id = ""
        self.needles: list[Needle] = [Needle("password", self._password.encode())]

    async def play(self) -> None:
        """The whole way, once. Raises PlayheadError where the deployment refuses it."""
        keys = await list_title(self._sandbox)
        for key in keys:
            self.needles += needles_of_key(f"content key {key.tier}", key.key)
        bearer, profile_id = await self._sign_in()
        wanted = {
            "content_id": CONTENT_ID,
            "profile_id": profile_id,
            "device": {"device_id": "scan", "max_height": 1080},
        }
        session = await self._json("POST", "/v1/sessions", wanted, bearer)
        self._note("session token", session["session_token"])
        await self._fetch(session["dash_url"])
        await self._take_license(session, keys)
        await self._send_events(session)
        await self._err(session, bearer)
        path = f"/v1/sessions/{session['session_id']}"
        await self._say("DELETE", path, headers=bearer)

    async def _sign_in(self) -> tuple[dict[str, str], str]:
        credentials = {"email": self.email, "password": self._password}
        account = await self._json("POST", "/v1/accounts", credentials, {})
        self.account_id = account["account_id"]
        billing = operator_token(
            self._deployment, "billing", subject=SOURCE, lifetime_s=CALL_TOKEN_S
        )
        self._note("billing token", billing)
        path = f"/v1/admin/accounts/{self.account_id}/subscription"
        subscription = {"plan": "premium", "state": "active"}
        await self._json("PUT", path, subscription, {"Authorization": f"Bearer {billing}"})
        grant = {"grant_type": "password", "username": self.email, "password": self._password}
        tokens = await self._json("POST", "/v1/tokens", grant, {})
        self._note("refresh token", tokens["refresh_token"])
        grant = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        tokens = await self._json("POST", "/v1/tokens", grant, {})
        self._note("access token", tokens["access_token"])
        self._note("refresh token", tokens["refresh_token"])
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        profile = await self._json("POST", "/v1/profiles", {"name": PROFILE}, bearer)
        return bearer, profile["profile_id"]

    async def _take_license(self, session: Mapping[str, Any], keys: tuple[TierKey, ...]) -> None:
        ids = [base64.urlsafe_b64encode(bytes.fromhex(k.key_id)).rstrip(b"=") for k in keys]
        body = {"kids": [each.decode() for each in ids], "type": "temporary"}
        answer = await self._json("POST", session["license_url"], body, {})
        if len(answer["keys"]) != len(keys):
            raise PlayheadError("the license has not every key: nothing would be proven")

    async def _send_events(self, session: Mapping[str, Any]) -> None:
        for sequence in range(EVENTS):
            now_ms = system_clock()
            event = {
                "type": "heartbeat",
                "id": str(uuid7(now_ms, secrets.token_bytes(10))),
                "session_id": session["session_id"],
                "source": SOURCE,
                "sequence": sequence,
                "at": datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(),
                "playhead_ms": sequence * 1000,
            }
            await self._json("POST", session["events_url"], event, {})

    async def _err(self, session: Mapping[str, Any], bearer: Mapping[str, str]) -> None:
        """Secrets in wrong places: what is refused tends to be logged. Whatever is answered."""
        token, password = session["session_token"], self._password
        wrong = {"grant_type": "password", "username": self.email, "password": f"{password}x"}
        await self._say("POST", "/v1/tokens", json=wrong)
        await self._say("POST", "/v1/tokens", data=f'{{"password": "{password}", '.encode())
        await self._say("GET", f"/v1/account?password={password}", headers=bearer)
        await self._say("GET", f"/v1/titles/{token}", headers=bearer)
        await self._say("GET", "/v1/account", headers={"Authorization": f"Basic {password}"})
        await self._say("GET", "/v1/account", headers={"Authorization": f"Bearer {token}"})
        await self._say("POST", session["license_url"], json={"kids": [token, password]})
        await self._say("POST", session["events_url"], data=password.encode())
        await self._say("POST", f"/{token}/{password}", json={token: password})

    def _note(self, name: str, secret: str) -> None:
        self.needles.append(Needle(name, secret.encode()))

    async def _fetch(self, url: str) -> None:
        async with self._http.get(url) as response:
            await response.read()
            if response.status != 200:
                raise PlayheadError(f"the manifest is refused: {response.status}")

    async def _say(self, method: str, path: str, **request: Any) -> None:
        url = path if path.startswith("http") else self._root + path
        async with self._http.request(method, url, **request) as response:
            await response.read()

    async def _json(
        self, method: str, path: str, body: object, headers: Mapping[str, str]
    ) -> dict[str, Any]:
        url = path if path.startswith("http") else self._root + path
        async with self._http.request(method, url, json=body, headers=headers) as response:
            content = await response.read()
        if response.status >= 400:
            where = response.url.path.split("/")[1]
            raise PlayheadError(f"the gateway refused {method} /{where}: {response.status}")
        answer: dict[str, Any] = msgspec.json.decode(content) if content else {}
        return answer
