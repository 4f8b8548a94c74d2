"""What an event costs with more processes, and with more stored: it should stay the same.

The load is the same at every point; with several gateways each gets its part. CPU time is counted,
so that a machine with few cores can tell the cost of many processes, though not their speed.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import msgspec

from infra.bench.processes import cpu_s
from infra.bench.sessions import FloodedSessions
from infra.clickhouse.client import open_client, parse_url
from infra.sandbox import Sandbox
from infra.stack import announced_probe, environment_of
from infra.workers import place_of

PROCESSES: Final = (1, 2, 4)
STORED_TIMES: Final = (1, 10, 100)
EVENTS_PER_POST: Final = 100
CONNECTIONS: Final = 64
EVENTS_PER_S: Final = 6_000.0
WARM_UP_S: Final = 5.0
START_TIMEOUT_S: Final = 60.0
LOOK_S: Final = 0.2
COPY: Final = (
    "INSERT INTO events_raw SELECT * REPLACE("
    "reinterpretAsUUID(bitXor(reinterpretAsUInt128(session_id), toUInt128({copy:UInt64})))"
    " AS session_id, concat(source, '-', toString({copy:UInt64})) AS source,"
    " kafka_offset + 1000000000 * {copy:UInt64} AS kafka_offset)"
    " FROM events_raw LIMIT {rows:UInt64}"
)


class CostFigure(msgspec.Struct, frozen=True, kw_only=True):
    """CPU microseconds per event, summed over the processes of a kind."""

    gateways: int
    sinks: int
    rows_stored: int
    """Before the load."""
    events: int
    gateway_us: float
    kafka_us: float
    sink_us: float
    clickhouse_us: float
    total_us: float


async def measure_curve(sandbox: Sandbox, seconds: float) -> list[CostFigure]:
    """First more processes, then more rows; the first figure is the base of both."""
    figures = []
    for count in PROCESSES:
        async with AsyncExitStack() as extra:
            others = [str(number) for number in range(2, count + 1)]
            gateways = [
                await extra.enter_async_context(_started(sandbox, "gateway", name))
                for name in others
            ]
            sinks = [
                await extra.enter_async_context(_started(sandbox, "worker-analytics", name))
                for name in others
            ]
            figures.append(await _measure(sandbox, gateways, sinks, seconds))
    base = await asyncio.to_thread(_rows, sandbox)
    for times in STORED_TIMES[1:]:
        await asyncio.to_thread(_fill, sandbox, base * times)
        figures.append(await _measure(sandbox, [], [], seconds))
    return figures


class _Process(msgspec.Struct, frozen=True):
    pid: int
    url: str


@asynccontextmanager
async def _started(sandbox: Sandbox, place: str, instance: str) -> AsyncIterator[_Process]:
    """One more process of a kind, listening, for the length of the block."""
    deployment = sandbox.deployment
    words = ("gateway",) if place == "gateway" else ("worker", "analytics")
    announced = deployment.run / f"{place_of(place, instance)}.json"
    await asyncio.to_thread(announced.unlink, missing_ok=True)
    environment = environment_of(deployment.settings) | {"PLAYHEAD_GATEWAY_PORT": "0"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "infra.cli", *words, "--instance", instance),
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        answers = announced_probe(announced, "/livez")
        async with asyncio.timeout(START_TIMEOUT_S):
            while not await answers():  # noqa: ASYNC110 - another process begins to answer
                await asyncio.sleep(LOOK_S)
        told = msgspec.json.decode(await asyncio.to_thread(announced.read_bytes))
        yield _Process(process.pid, f"http://{told['host']}:{told['port']}")
    finally:
        process.terminate()
        await process.wait()


async def _measure(
    sandbox: Sandbox, gateways: Sequence[_Process], sinks: Sequence[_Process], seconds: float
) -> CostFigure:
    pids = {
        "gateway": [sandbox.pid_of("gateway"), *(each.pid for each in gateways)],
        "kafka": [sandbox.pid_of("kafka")],
        "sink": [sandbox.pid_of("analytics"), *(each.pid for each in sinks)],
        "clickhouse": [sandbox.pid_of("clickhouse")],
    }
    count = 1 + len(gateways)
    floods = [
        FloodedSessions(sandbox, CONNECTIONS // count, EVENTS_PER_POST, url=url)
        for url in ("", *(each.url for each in gateways))
    ]
    posts_per_s = EVENTS_PER_S / EVENTS_PER_POST / count

    async def load(length_s: float) -> None:
        await asyncio.gather(
            *(
                flood.flood(
                    seconds=length_s, posts_per_s=posts_per_s, connections=CONNECTIONS // count
                )
                for flood in floods
            )
        )
        for flood in floods:
            await flood.until_stored()

    await load(WARM_UP_S)
    stored = await asyncio.to_thread(_rows, sandbox)
    before_s = {kind: sum(map(cpu_s, each)) for kind, each in pids.items()}
    warm = sum(flood.acknowledged_events for flood in floods)
    await load(seconds)
    events = sum(flood.acknowledged_events for flood in floods) - warm
    us = {
        kind: (sum(map(cpu_s, each)) - before_s[kind]) / events * 1e6 for kind, each in pids.items()
    }
    return CostFigure(
        gateways=count,
        sinks=1 + len(sinks),
        rows_stored=stored,
        events=events,
        gateway_us=us["gateway"],
        kafka_us=us["kafka"],
        sink_us=us["sink"],
        clickhouse_us=us["clickhouse"],
        total_us=sum(us.values()),
    )


def _rows(sandbox: Sandbox) -> int:
    client = open_client(parse_url(sandbox.deployment.clickhouse_url()))
    try:
        return int(client.query("SELECT count() FROM events_raw").result_rows[0][0])
    finally:
        client.close()


def _fill(sandbox: Sandbox, wanted: int) -> None:
    """More rows like those that are there, of other sessions."""
    client = open_client(parse_url(sandbox.deployment.clickhouse_url()))
    try:
        copy = 1
        while (rows := int(client.query("SELECT count() FROM events_raw").result_rows[0][0])) < (
            wanted
        ):
            copy += 1
            client.command(COPY, parameters={"copy": copy, "rows": min(rows, wanted - rows)})
    finally:
        client.close()
