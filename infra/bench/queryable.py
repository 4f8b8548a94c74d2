"""From POST to queryable: one event at a time through everything, until a query sees it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import aiohttp
import msgspec

from infra.bench.load import percentile
from infra.bench.tokens import a_session
from infra.sandbox import Sandbox
from schemas import codec
from schemas.events import Heartbeat

POLL_S = 0.05
SPACING_S = 0.25
DEADLINE_S = 30


class QueryableFigure(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds from the POST until a query returns the event."""

    events: int
    p50_ms: float
    p95_ms: float
    floor_p50_ms: float
    """The acknowledgment alone: what the log costs before anything is stored."""


async def measure_queryable(sandbox: Sandbox, events: int) -> QueryableFigure:
    """Post events of one session each, spaced, and watch ClickHouse for all of them."""
    sent: dict[str, float] = {}
    acknowledged: list[float] = []
    seen: dict[str, float] = {}
    async with aiohttp.ClientSession() as http:
        watcher = asyncio.create_task(_watch(sandbox, http, sent, seen, events))
        for _ in range(events):
            session_id, token = a_session(sandbox.deployment)
            sent[session_id] = time.perf_counter()
            await _post(sandbox, http, session_id, token)
            acknowledged.append((time.perf_counter() - sent[session_id]) * 1000)
            await asyncio.sleep(SPACING_S)
        await asyncio.wait_for(watcher, DEADLINE_S)
    waits = [(seen[session_id] - at) * 1000 for session_id, at in sent.items()]
    return QueryableFigure(
        events=events,
        p50_ms=percentile(waits, 0.5),
        p95_ms=percentile(waits, 0.95),
        floor_p50_ms=percentile(acknowledged, 0.5),
    )


async def _post(sandbox: Sandbox, http: aiohttp.ClientSession, session_id: str, token: str) -> None:
    event = Heartbeat(
        id=session_id, session_id=session_id, source="bench", sequence=0, at=datetime.now(UTC)
    )
    url = f"{sandbox.deployment.gateway_url()}/s/{token}/events"
    headers = {"Content-Type": "application/json"}
    async with http.post(url, data=codec.encode(event), headers=headers) as response:
        response.raise_for_status()


async def _watch(
    sandbox: Sandbox,
    http: aiohttp.ClientSession,
    sent: dict[str, float],
    seen: dict[str, float],
    events: int,
) -> None:
    address = sandbox.deployment.reader_address()
    database = sandbox.deployment.database
    query = f"SELECT DISTINCT toString(session_id) FROM {database}.events WHERE source = 'bench'"  # noqa: S608 - no outside text
    while len(seen) < events:
        async with http.get(address, params={"query": query}) as response:
            response.raise_for_status()
            found = (await response.text()).split()
        now_s = time.perf_counter()
        for session_id in found:
            if session_id in sent:
                seen.setdefault(session_id, now_s)
        await asyncio.sleep(POLL_S)
