"""Gateway throughput per CPU-second at 1, 20 and 100 events a POST, beside its floor."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import msgspec

from infra.bench.heartbeats import heartbeat_around_sequence
from infra.bench.load import LoadResult, Target, run_load
from infra.bench.processes import cpu_s
from infra.bench.tokens import a_session
from infra.sandbox import Sandbox
from streams.admin import apply_topics
from streams.clock import system_clock
from streams.topics import PLAYBACK_EVENTS

CONNECTIONS = 32
SIZES = (1, 20, 100)
CMCD_SIZES = (1, 5)
"""Players in event mode post what a segment or two brought."""
WARM_UP_S = 1.0
NDJSON = {"Content-Type": "application/x-ndjson"}
CMCD = {"Content-Type": "application/cmcd"}
FLOOR_TIMEOUT_S = 20


class GatewayFigure(msgspec.Struct, frozen=True, kw_only=True):
    """One batch size; the floor takes as many bytes and lines and reads none of them."""

    posts: Literal["events", "CMCD"]
    events_per_post: int
    requests_per_cpu_s: float
    events_per_cpu_s: float
    floor_events_per_cpu_s: float
    ratio_to_floor: float
    p50_ms: float
    p99_ms: float
    not_accepted: int


async def measure_gateway(sandbox: Sandbox, seconds: float) -> list[GatewayFigure]:
    """Each size against the gateway and then the floor, on the same broker."""
    figures = []
    gateway_pid = sandbox.pid_of("gateway")
    loads = [(size, _targets(sandbox, size)) for size in SIZES]
    loads += [(size, _cmcd_targets(sandbox, size)) for size in CMCD_SIZES]
    async with _floor(sandbox) as (floor_pid, floor_url):
        for size, ours in loads:
            floors = [Target(floor_url, NDJSON, target.make_body) for target in ours]
            result, rate = await _rate(gateway_pid, ours, seconds)
            _, floor_rate = await _rate(floor_pid, floors, seconds)
            figures.append(_figure(size, ours[0], result, rate, floor_rate))
    return figures


def _figure(
    size: int, target: Target, result: LoadResult, rate: float, floor_rate: float
) -> GatewayFigure:
    is_cmcd = target.headers == CMCD
    return GatewayFigure(
        posts="CMCD" if is_cmcd else "events",
        events_per_post=size,
        requests_per_cpu_s=rate,
        events_per_cpu_s=rate * size,
        floor_events_per_cpu_s=floor_rate * size,
        ratio_to_floor=rate / floor_rate,
        p50_ms=result.percentile_ms(0.5),
        p99_ms=result.percentile_ms(0.99),
        not_accepted=result.requests - result.statuses.get(204 if is_cmcd else 202, 0),
    )


async def _rate(pid: int, targets: list[Target], seconds: float) -> tuple[LoadResult, float]:
    """Requests per CPU-second of the process, after a second of warming up."""
    await run_load(targets, seconds=WARM_UP_S)
    before_s = cpu_s(pid)
    result = await run_load(targets, seconds=seconds)
    return result, result.requests / (cpu_s(pid) - before_s)


def _targets(sandbox: Sandbox, size: int) -> list[Target]:
    """One session a connection, its events numbered on."""
    root = sandbox.deployment.gateway_url()
    sessions = [a_session(sandbox.deployment) for _ in range(CONNECTIONS)]
    return [
        Target(f"{root}/s/{token}/events", NDJSON, _body_maker(session_id, size))
        for session_id, token in sessions
    ]


def _cmcd_targets(sandbox: Sandbox, size: int) -> list[Target]:
    """One player a connection, whose segments are numbered on."""
    root = sandbox.deployment.gateway_url()
    sessions = [a_session(sandbox.deployment) for _ in range(CONNECTIONS)]
    return [
        Target(f"{root}/s/{token}/cmcd/bench", CMCD, _cmcd_body_maker(session_id, size))
        for session_id, token in sessions
    ]


def _cmcd_body_maker(session_id: str, size: int) -> Callable[[], bytes]:
    """Lines as Shaka Player reports its segments."""
    started_at_ms = system_clock()
    counter = itertools.count()

    def line(n: int) -> str:
        return (
            f'bl=({8_000 + n % 97 * 100}),br=(2699),cid="bench",e=rr,mtp=({20_000 + n % 89 * 100}),'
            f'rc=200,sf=d,sid="{session_id}",sn={n},st=v,sta=p,ts={started_at_ms + n},'
            f'ttfb={20 + n % 31},ttlb={50 + n % 37},url="http://127.0.0.1:8081/bench/v720/{n}.m4s",v=2\n'
        )

    def make() -> bytes:
        return "".join(line(n) for n in itertools.islice(counter, size)).encode()

    return make


def _body_maker(session_id: str, size: int) -> Callable[[], bytes]:
    head, tail = heartbeat_around_sequence(session_id, "bench")
    line = head + b'"id":"0199a1f0-6c00-7000-8000-%012x","sequence":%d' + tail + b"\n"
    counter = itertools.count()

    def make() -> bytes:
        return b"".join(line % (n, n) for n in itertools.islice(counter, size))

    return make


@asynccontextmanager
async def _floor(sandbox: Sandbox) -> AsyncIterator[tuple[int, str]]:
    """The floor in a process of its own; its records go to the same topic."""
    broker = sandbox.deployment.broker()
    topic = msgspec.structs.replace(PLAYBACK_EVENTS, name="bench.floor", has_dead_letters=False)
    await apply_topics(broker, topics=[topic])
    with tempfile.TemporaryDirectory() as folder:
        announce = Path(folder) / "floor.json"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "infra.bench.floor", broker.bootstrap),
            *(broker.physical(topic.name), str(topic.partitions), str(announce)),
        )
        try:
            async with asyncio.timeout(FLOOR_TIMEOUT_S):
                while not announce.exists():  # noqa: ASYNC110 - another process writes it
                    await asyncio.sleep(0.05)
            told = json.loads(announce.read_text())
            yield told["pid"], f"http://127.0.0.1:{told['port']}/"
        finally:
            process.kill()
            await process.wait()
