"""Viewers that ask agents, one question after another: for licenses, accounts, recommendations."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final

import aiohttp

from infra.bench.viewers import CONTENT_ID, license_bodies, list_title
from infra.demo.account import ensure_demo_account
from infra.faults.schedule import Place
from infra.sandbox import Sandbox
from schemas.licenses import TierKey

PAUSE_S: Final = 0.05
TIMEOUT_S: Final = 10.0
STALE: Final = frozenset({401, 403, 404})
"""The session lapsed, or the access token expired, while an agent was away."""

Ask = Callable[[], Awaitable[int]]


class Askers:
    """One viewer; what it is given is counted by session."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._root = sandbox.deployment.gateway_url()
        self._http: aiohttp.ClientSession | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._bearer: dict[str, str] = {}
        self._profile_id = ""
        self._session_id = ""
        self._license_url = ""
        self._renewing = asyncio.Lock()
        self.open: Counter[Place] = Counter()
        """Asked and not answered, now."""
        self.licenses: Counter[str] = Counter()
        """Delivered, by session."""
        self.statuses: Counter[tuple[Place, int]] = Counter()
        self.keys: tuple[TierKey, ...] = ()
        """Of the title."""
        self.credentials: set[str] = set()
        """Passwords and tokens that were used."""

    async def start(self) -> None:
        """List a title, open a session, begin to ask. Raises what the gateway refuses."""
        self.keys = await list_title(self._sandbox)
        bodies = itertools.cycle(license_bodies(self.keys))
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        await self._renew(self._bearer)
        asks: dict[Place, Ask] = {
            "license": lambda: self._ask_license(next(bodies)),
            "account": lambda: self._get("/v1/account"),
            "recommendation": lambda: self._get(f"/v1/profiles/{self._profile_id}/recommendations"),
        }
        self._tasks = [asyncio.create_task(self._go_on(name, ask)) for name, ask in asks.items()]

    async def stop(self) -> None:
        """Ask nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._http is not None:
            await self._http.close()

    async def _go_on(self, name: Place, ask: Ask) -> None:
        while True:
            bearer = self._bearer
            self.open[name] += 1
            try:
                status = await ask()
            except (aiohttp.ClientError, OSError):  # TimeoutError is one of them.
                status = 0
            finally:
                self.open[name] -= 1
            self.statuses[name, status] += 1
            if status in STALE:
                await self._renew_patiently(bearer)
            await asyncio.sleep(PAUSE_S)

    async def _renew_patiently(self, bearer: dict[str, str]) -> None:
        try:
            await self._renew(bearer)
        except (aiohttp.ClientError, OSError):
            await asyncio.sleep(1)

    async def _ask_license(self, body: bytes) -> int:
        assert self._http is not None
        session_id = self._session_id
        async with self._http.post(self._license_url, data=body) as response:
            await response.read()
            if response.status == 200:
                self.licenses[session_id] += 1
            return response.status

    async def _get(self, path: str) -> int:
        assert self._http is not None
        async with self._http.get(self._root + path, headers=self._bearer) as response:
            await response.read()
            return response.status

    async def _renew(self, stale: dict[str, str]) -> None:
        """Sign in again and open another session, unless that was done meanwhile."""
        async with self._renewing:
            if stale is not self._bearer:
                return
            credentials = await ensure_demo_account(self._sandbox.deployment)
            grant = {
                "grant_type": "password",
                "username": credentials.email,
                "password": credentials.password,
            }
            tokens = await self._post("/v1/tokens", grant, {})
            bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
            self.credentials |= {credentials.password, tokens["access_token"]}
            assert self._http is not None
            async with self._http.get(self._root + "/v1/account", headers=bearer) as response:
                response.raise_for_status()
                account = await response.json()
            self._profile_id = account["profiles"][0]["profile_id"]
            wanted = {
                "content_id": CONTENT_ID,
                "profile_id": self._profile_id,
                "device": {"device_id": "faults", "max_height": 1080},
            }
            opened = await self._post("/v1/sessions", wanted, bearer)
            self._session_id, self._license_url = opened["session_id"], opened["license_url"]
            self._bearer = bearer

    async def _post(self, path: str, body: object, headers: dict[str, str]) -> dict[str, Any]:
        assert self._http is not None
        async with self._http.post(self._root + path, json=body, headers=headers) as response:
            response.raise_for_status()
            answer: dict[str, Any] = await response.json()
            return answer
