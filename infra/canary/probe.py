"""One probe: open a session, take its license, post an event, see it in ClickHouse, end."""

from __future__ import annotations

import asyncio
import secrets
import time
from datetime import UTC, datetime
from typing import Final

import aiohttp
import msgspec

from infra.canary.account import ProbeError, send, sign_in
from infra.clickhouse.client import parse_url
from infra.deployment import Deployment
from infra.simulate.manifest import read_manifest
from schemas.errors import InvalidMessageError
from schemas.ids import base64url, uuid7
from streams.clock import Clock

QUERYABLE_S_MAX: Final = 30.0
POLL_S: Final = 0.25


class ProbeReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one probe saw; None where it was not reached."""

    at_ms: int
    license_ms: int | None = None
    """From the license request to its keys."""
    event_ms: int | None = None
    """From the POST to the row in ClickHouse."""
    error: str = ""
    is_idle: bool = False
    """There is no title yet, so nothing can be played."""
    failures_in_row: int = 0


class Probe:
    """One run after the other on one connection pool."""

    def __init__(self, deployment: Deployment, http: aiohttp.ClientSession, clock: Clock) -> None:
        self._deployment = deployment
        self._http = http
        self._clock = clock
        self._signed_in: tuple[str, str] | None = None
        """Kept while it counts: checking a password is dear."""

    async def run(self) -> ProbeReport:
        """Never raises for what the system does wrong: that is what it reports."""
        at_ms = self._clock()
        report = ProbeReport(at_ms=at_ms)
        is_remembered = self._signed_in is not None
        try:
            if self._signed_in is None:
                self._signed_in = await sign_in(self._http, self._deployment)
            token, profile_id = self._signed_in
            session = await self._open(token, profile_id)
            if session is None:
                return msgspec.structs.replace(report, is_idle=True)
            try:
                license_ms = await self._license(session)
                report = msgspec.structs.replace(report, license_ms=license_ms)
                event_ms = await self._event(session, at_ms)
                report = msgspec.structs.replace(report, event_ms=event_ms)
            finally:
                path = f"/v1/sessions/{session['session_id']}"
                await send(self._http, "DELETE", path, token=str(session["session_token"]))
        except ProbeError as error:
            if error.status == 401:
                self._signed_in = None
                if is_remembered:  # it only grew old
                    return await self.run()
            return msgspec.structs.replace(report, error=str(error))
        except InvalidMessageError as error:
            return msgspec.structs.replace(report, error=f"manifest: {error}")
        return report

    async def _open(self, token: str, profile_id: str) -> dict[str, object] | None:
        """A session on the first title that it may play; None where there is no title at all."""
        listed = (await send(self._http, "GET", "/v1/titles?limit=20", token=token)).get("titles")
        titles = listed if isinstance(listed, list) else []
        refused: ProbeError | None = None
        for title in titles:
            asked = {
                "content_id": title["content_id"],
                "profile_id": profile_id,
                "device": {"device_id": "canary", "model": "canary", "player": "canary"},
            }
            try:
                return await send(self._http, "POST", "/v1/sessions", asked, token)
            except ProbeError as error:
                refused = error
        if refused is not None:
            raise refused
        return None

    async def _license(self, session: dict[str, object]) -> int | None:
        """How long the keys took; None for a title in the clear."""
        url = str(session["dash_url"])
        try:
            async with self._http.get(url) as response:
                manifest = read_manifest(await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ProbeError(f"manifest: {type(error).__name__}") from error
        if not manifest.key_ids:
            return None
        kids = [base64url(bytes.fromhex(key_id)) for key_id in manifest.key_ids]
        begun_s = time.monotonic()
        given = await send(
            self._http, "POST", str(session["license_url"]), {"kids": kids, "type": "temporary"}
        )
        if not given.get("keys"):
            raise ProbeError("license: no key")
        return round((time.monotonic() - begun_s) * 1000)

    async def _event(self, session: dict[str, object], at_ms: int) -> int:
        """How long it took to the row. Raises ProbeError where it does not come."""
        session_id = str(session["session_id"])
        event = {
            "type": "heartbeat",
            "id": str(uuid7(at_ms, secrets.token_bytes(10))),
            "session_id": session_id,
            "source": "canary",
            "sequence": 0,
            "at": datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(),
            "playhead_ms": 0,
        }
        begun_s = time.monotonic()
        await send(self._http, "POST", str(session["events_url"]), event)
        while not await self._is_stored(session_id, at_ms):
            if time.monotonic() - begun_s > QUERYABLE_S_MAX:
                raise ProbeError(f"event: accepted, but no row after {QUERYABLE_S_MAX:.0f} s")
            await asyncio.sleep(POLL_S)
        return round((time.monotonic() - begun_s) * 1000)

    async def _is_stored(self, session_id: str, at_ms: int) -> bool:
        """From the table: the views leave probes out."""
        address = parse_url(self._deployment.reader_url())
        query = (
            "SELECT count() FROM events_raw WHERE session_id = toUUID({session_id:String})"
            " AND at >= fromUnixTimestamp64Milli({at_ms:Int64}) - INTERVAL 1 DAY"
        )
        try:
            async with self._http.post(
                f"{address.scheme}://{address.host}:{address.port}/",
                params={
                    "database": address.database,
                    "param_session_id": session_id,
                    "param_at_ms": str(at_ms),
                },
                data=query.encode(),
                auth=aiohttp.BasicAuth(address.user, address.password),
            ) as response:
                return response.status == 200 and (await response.read()).strip() == b"1"
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False  # it may come back within the time
