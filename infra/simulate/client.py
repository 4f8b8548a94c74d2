"""The gateway as a viewer's app calls it; every call is measured, none raises for a refusal."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
import msgspec

from infra.simulate.tally import Tally

TIMEOUT_S: Final = 20
CONNECTIONS_MAX: Final = 2_000


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """`status` 0: none came."""

    status: int
    body: bytes = b""

    @property
    def is_ok(self) -> bool:
        """2xx."""
        return 200 <= self.status < 300

    def json(self) -> dict[str, Any]:
        """The object of the body; empty where it is none."""
        try:
            found = msgspec.json.decode(self.body)
        except msgspec.DecodeError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def reason(self) -> str:
        """Why it was refused, in the gateway's word."""
        return str(self.json().get("reason", "")) or str(self.status or "no answer")


class GatewayClient:
    """One connection pool for all viewers. `root` is the gateway's address."""

    def __init__(self, http: aiohttp.ClientSession, root: str, tally: Tally) -> None:
        self._http = http
        self._root = root
        self.tally = tally

    async def call(
        self,
        name: str,
        method: str,
        url: str,
        *,
        json: object = None,
        token: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request; `url` may be a path below the gateway."""
        sent = dict(headers or {})
        if token:
            sent["Authorization"] = f"Bearer {token}"
        body = None
        if json is not None:
            body = msgspec.json.encode(json)
            sent.setdefault("Content-Type", "application/json")
        address = self._root + url if url.startswith("/") else url
        started_s = time.perf_counter()
        try:
            async with self._http.request(method, address, data=body, headers=sent) as response:
                answer = Answer(status=response.status, body=await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.tally.errors[f"{name}: {type(error).__name__}"] += 1
            answer = Answer(status=0)
        latency_ms = (time.perf_counter() - started_s) * 1000
        self.tally.answered(name, answer.status, latency_ms)
        if answer.status >= 400:
            self.tally.errors[f"{name}: {answer.status} {answer.reason}"] += 1
        return answer


def open_http() -> aiohttp.ClientSession:
    """The pool of a simulation."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
    )
