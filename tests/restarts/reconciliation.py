"""The client's ledger against ClickHouse, as sets: nothing lost, nothing twice, nothing more."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from infra.clickhouse.client import open_client, parse_url
from infra.operations.log_access import CONSUMER_GROUPS
from infra.sandbox import Sandbox
from streams.clock import system_clock
from streams.lag import read_lags
from tests.restarts.client_ledger import ClientLedger, Fact

STORED_TIMEOUT_S = 90
LOOK_S = 0.3


async def query(sandbox: Sandbox, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """The rows that the read-only user gets."""

    def ask() -> list[tuple[Any, ...]]:
        client = open_client(parse_url(sandbox.deployment.reader_url()))
        try:
            return [tuple(row) for row in client.query(sql, parameters).result_rows]
        finally:
            client.close()

    return await asyncio.to_thread(ask)


async def assert_stored_exactly_once(
    sandbox: Sandbox, session_id: str, ledger: ClientLedger
) -> None:
    """Every event that was sent is acknowledged and one row; no row is of anything else.

    The last event of each topic must have been sent: once it is stored, nothing follows.
    """
    assert ledger.unacknowledged == set()
    async with asyncio.timeout(STORED_TIMEOUT_S):
        while ledger.sent - set(await _stored(sandbox, session_id)):  # noqa: ASYNC110 - it polls
            await asyncio.sleep(LOOK_S)
    stored = await _stored(sandbox, session_id)
    ours = {fact: count for fact, count in stored.items() if not fact.source.startswith("edge-")}
    assert set(ours) == ledger.sent
    assert {fact: count for fact, count in stored.items() if count != 1} == {}
    assert await _count(sandbox, "conflicts", session_id) == 0
    assert await _count(sandbox, "dead_letters", "") == 0


async def _stored(sandbox: Sandbox, session_id: str) -> Counter[Fact]:
    rows = await query(
        sandbox,
        "SELECT source, sequence, type, coalesce(playhead_ms, 0), count() FROM events "
        "WHERE session_id = {session:UUID} GROUP BY ALL",
        session=session_id,
    )
    return Counter({Fact(*row[:4]): row[4] for row in rows})


async def _count(sandbox: Sandbox, view: str, session_id: str) -> int:
    where = " WHERE toString(session_id) = {session:String}" if session_id else ""
    sql = f"SELECT count() FROM {view}{where}"  # noqa: S608 - names of views from this file
    rows = await query(sandbox, sql, session=session_id)
    return int(rows[0][0])


async def assert_every_worker_goes_on(sandbox: Sandbox) -> None:
    """No consumer group keeps a lag: each reads, acts and commits."""
    broker = sandbox.deployment.broker()
    async with asyncio.timeout(STORED_TIMEOUT_S):
        while any(  # noqa: ASYNC110 - it polls
            lag.consumer_lag for lag in await read_lags(broker, CONSUMER_GROUPS, system_clock())
        ):
            await asyncio.sleep(LOOK_S)


async def assert_session_is_folded(sandbox: Sandbox, session_id: str) -> None:
    """The session is one row of `sessions`, ended, with its first frame."""
    async with asyncio.timeout(STORED_TIMEOUT_S):
        while True:
            rows = await query(
                sandbox,
                "SELECT count(), countIf(ended_at IS NOT NULL), any(time_to_first_frame_ms) "
                "FROM sessions WHERE session_id = {session:UUID}",
                session=session_id,
            )
            if rows[0][1]:
                break
            await asyncio.sleep(LOOK_S)
    assert rows[0][0] == 1
    assert rows[0][2] is not None
