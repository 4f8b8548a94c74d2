"""Gateway throughput per CPU-second at 1, 20 and 100 events a POST, beside its floor."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from infra.bench.load import LoadResult, Target, run_load
from infra.bench.processes import cpu_s
from infra.bench.tokens import a_session
from infra.sandbox import Sandbox
from schemas import codec
from schemas.events import Heartbeat
from streams.admin import apply_topics
from streams.topics import PLAYBACK_EVENTS

CONNECTIONS = 32
SIZES = (1, 20, 100)
WARM_UP_S = 1.0
NDJSON = {"Content-Type": "application/x-ndjson"}
FLOOR_TIMEOUT_S = 20


class GatewayFigure(msgspec.Struct, frozen=True, kw_only=True):
    """One batch size."""

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
    async with _floor(sandbox) as (floor_pid, floor_url):
        for size in SIZES:
            ours = _targets(sandbox, size)
            floors = [Target(floor_url, NDJSON, target.make_body) for target in ours]
            result, rate = await _rate(gateway_pid, ours, seconds)
            _, floor_rate = await _rate(floor_pid, floors, seconds)
            figures.append(_figure(size, result, rate, floor_rate))
    return figures


def _figure(size: int, result: LoadResult, rate: float, floor_rate: float) -> GatewayFigure:
    return GatewayFigure(
        events_per_post=size,
        requests_per_cpu_s=rate,
        events_per_cpu_s=rate * size,
        floor_events_per_cpu_s=floor_rate * size,
        ratio_to_floor=rate / floor_rate,
        p50_ms=result.percentile_ms(0.5),
        p99_ms=result.percentile_ms(0.99),
        not_accepted=result.requests - result.statuses.get(202, 0),
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


def _body_maker(session_id: str, size: int) -> Callable[[], bytes]:
    template = codec.encode(
        Heartbeat(
            session_id=session_id,
            source="bench",
            sequence=0,
            at=datetime.now(UTC),
            playhead_ms=61_200,
            bitrate_kbps=2000,
            buffer_length_ms=12_000,
        )
    )
    head, _, tail = template.partition(b'"sequence":0')
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
