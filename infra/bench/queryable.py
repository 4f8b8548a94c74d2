"""From POST to queryable: one event at a time through everything, until a query sees it."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

import aiohttp
import msgspec

from infra.bench.load import percentile
from infra.bench.tokens import a_session
from infra.sandbox import Sandbox
from schemas import codec
from schemas.events import Heartbeat

POLL_S: Final = 0.1
SPACING_S: Final = 0.25
DEADLINE_S: Final = 30
SOURCE: Final = "probe"


class QueryableFigure(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds from the POST until a query returns the event."""

    events: int
    p50_ms: float
    p95_ms: float
    floor_p50_ms: float
    """The acknowledgment alone: what the log costs before anything is stored."""


async def measure_queryable(sandbox: Sandbox, events: int) -> QueryableFigure:
    """Nothing else goes on."""
    async with Prober(sandbox) as prober:
        await asyncio.sleep(events * SPACING_S)
    return QueryableFigure(
        events=len(prober.waits_ms),
        p50_ms=percentile(prober.waits_ms, 0.5),
        p95_ms=percentile(prober.waits_ms, 0.95),
        floor_p50_ms=percentile(prober.acknowledged_ms, 0.5),
    )


class Prober:
    """Posts events of a session each, spaced, as long as its block runs; then waits for the last.

    One that cannot be queried DEADLINE_S after the block counts as having taken until then.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._http = aiohttp.ClientSession()
        self._sent_s: dict[str, float] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._all_seen = asyncio.Event()
        self.acknowledged_ms: list[float] = []
        self.waits_ms: list[float] = []

    async def __aenter__(self) -> Self:
        """Begin."""
        self._tasks = [asyncio.create_task(self._post()), asyncio.create_task(self._watch())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Stop posting, see the rest."""
        posting, watching = self._tasks
        posting.cancel()
        try:
            if error is None:
                self._all_seen.clear()
                await asyncio.wait_for(self._all_seen.wait(), DEADLINE_S)
        except TimeoutError:
            now_s = time.perf_counter()
            self.waits_ms += [(now_s - sent_s) * 1000 for sent_s in self._sent_s.values()]
        finally:
            watching.cancel()
            for task in self._tasks:
                with suppress(asyncio.CancelledError):
                    await task
            await self._http.close()

    async def _post(self) -> None:
        while True:
            session_id, token = a_session(self._sandbox.deployment)
            event = Heartbeat(
                id=session_id,
                session_id=session_id,
                source=SOURCE,
                sequence=0,
                at=datetime.now(UTC),
            )
            url = f"{self._sandbox.deployment.gateway_url()}/s/{token}/events"
            headers = {"Content-Type": "application/json"}
            sent_s = time.perf_counter()
            async with self._http.post(url, data=codec.encode(event), headers=headers) as response:
                if response.status == 202:
                    self.acknowledged_ms.append((time.perf_counter() - sent_s) * 1000)
                    self._sent_s[session_id] = sent_s
            await asyncio.sleep(SPACING_S)

    async def _watch(self) -> None:
        """Ask for those that wait only: the table grows meanwhile."""
        query = (
            f"SELECT toString(session_id) FROM {self._sandbox.deployment.database}.events"  # noqa: S608 - the database is the settings'
            " WHERE source = {source:String} AND type = 'heartbeat'"
            " AND session_id IN {sessions:Array(UUID)}"
        )
        address = self._sandbox.deployment.reader_address()
        while True:
            await asyncio.sleep(POLL_S)
            if not self._sent_s:
                self._all_seen.set()
                continue
            sessions = ",".join(f"'{session_id}'" for session_id in self._sent_s)
            params = {"query": query, "param_source": SOURCE, "param_sessions": f"[{sessions}]"}
            async with self._http.get(address, params=params) as response:
                response.raise_for_status()
                found = (await response.text()).split()
            now_s = time.perf_counter()
            for session_id in found:
                self.waits_ms.append((now_s - self._sent_s.pop(session_id)) * 1000)
