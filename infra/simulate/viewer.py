"""One viewer: opens a session, fetches manifest and license, plays, tells, and leaves."""

from __future__ import annotations

import asyncio
import time
from random import Random
from typing import Any, Final

import msgspec

from infra.simulate.accounts import SimulatedAccount
from infra.simulate.client import GatewayClient
from infra.simulate.manifest import Manifest, read_manifest
from infra.simulate.playback import Beat, Habits, Playback
from infra.simulate.reporter import Reporter
from schemas.errors import InvalidMessageError
from schemas.ids import base64url
from streams.clock import Clock

FLUSHES_MAX: Final = 5
FLUSH_WAIT_S: Final = 1.0
MODELS: Final = ("tv", "phone", "tablet", "laptop", "console")


class Seat(msgspec.Struct, frozen=True, kw_only=True):
    """Where a viewer sits: always the same device of the same account."""

    number: int
    account: SimulatedAccount


class Viewer:
    """Watches one title after the other, until told to stop."""

    def __init__(
        self,
        client: GatewayClient,
        seat: Seat,
        random: Random,
        *,
        clock: Clock,
        fetches_segments: bool,
        habits: Habits,
    ) -> None:
        self._client = client
        self._seat = seat
        self._random = random
        self._clock = clock
        self._fetches_segments = fetches_segments
        self._habits = habits

    async def watch(self, content_id: str, until_s: float) -> bool:
        """One session, cut off at that monotonic time; False where it was not opened."""
        opened = await self._open(content_id)
        if not opened:
            return False
        tally = self._client.tally
        tally.watching += 1
        reporter = Reporter(
            self._client, opened["session_id"], opened["events_url"], clock=self._clock
        )
        try:
            manifest = await self._prepare(opened)
            if manifest is not None:
                await self._play(manifest, reporter, until_s)
            await self._leave(reporter)
        finally:
            reporter.give_up()
            tally.watching -= 1
            await self._end(opened)
        return True

    async def _open(self, content_id: str) -> dict[str, Any]:
        account = self._seat.account
        device = {
            "device_id": f"simulated-{self._seat.number}",
            "model": MODELS[self._seat.number % len(MODELS)],
            "player": "shaka",
        }
        answer = await self._client.call(
            "session",
            "POST",
            "/v1/sessions",
            json={"content_id": content_id, "profile_id": account.profile_id, "device": device},
            token=await account.token(self._client),
        )
        if answer.status != 201:
            self._client.tally.denied[answer.reason] += 1
            return {}
        self._client.tally.opened += 1
        return answer.json()

    async def _prepare(self, opened: dict[str, Any]) -> Manifest | None:
        """Manifest and license, as a player asks for them; None where it cannot play."""
        answer = await self._client.call("manifest", "GET", opened["dash_url"])
        if not answer.is_ok:
            return None
        try:
            manifest = read_manifest(answer.body)
        except InvalidMessageError as error:
            self._client.tally.errors[f"manifest: {error.detail[:80]}"] += 1
            return None
        if not manifest.key_ids:
            return manifest
        kids = [base64url(bytes.fromhex(key_id)) for key_id in manifest.key_ids]
        asked = {"kids": kids, "type": "temporary"}
        answer = await self._client.call("license", "POST", opened["license_url"], json=asked)
        self._client.tally.licenses += answer.is_ok
        return manifest if answer.is_ok else None

    async def _play(self, manifest: Manifest, reporter: Reporter, until_s: float) -> None:
        playback = Playback(manifest.duration_ms, manifest.ladder, self._random, self._habits)
        due_s = time.monotonic()
        for beat in playback.beats():
            due_s = max(due_s + beat.after_ms / 1000, time.monotonic())
            if due_s >= until_s:
                break
            await asyncio.sleep(due_s - time.monotonic())
            for fields in await self._measured(beat):
                reporter.add(fields)
            await reporter.flush()
        else:
            return
        reporter.add({"type": "stopped", "reason": "aborted"})

    async def _measured(self, beat: Beat) -> tuple[dict[str, Any], ...]:
        """The beat's events; a segment that is fetched gives its own measurement."""
        if beat.segment is None or not self._fetches_segments or not beat.segment[0].media:
            return beat.events
        rung, number = beat.segment
        started_s = time.perf_counter()
        url = rung.media.replace("$Number$", str(number))
        answer = await self._client.call("segment", "GET", url)
        transfer_ms = max(1, round((time.perf_counter() - started_s) * 1000))
        self._client.tally.segments += answer.is_ok
        self._client.tally.segment_bytes += len(answer.body)
        bandwidth = {
            **beat.events[0],
            "status": answer.status,
            "object_bytes": len(answer.body),
            "transfer_ms": transfer_ms,
            "measured_throughput_kbps": len(answer.body) * 8 // transfer_ms,
        }
        return (bandwidth, *beat.events[1:])

    async def _leave(self, reporter: Reporter) -> None:
        for _ in range(FLUSHES_MAX):
            if await reporter.flush():
                return
            await asyncio.sleep(FLUSH_WAIT_S)

    async def _end(self, opened: dict[str, Any]) -> None:
        path = f"/v1/sessions/{opened['session_id']}"
        await self._client.call("end", "DELETE", path, token=opened["session_token"])
