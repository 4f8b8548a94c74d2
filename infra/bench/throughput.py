"""A steady load through everything: who pays for it, and how soon an event can be queried.

POSTs of 100 events at a fixed rate, answered or not, from one process on the same machine, whose
own CPU time is told. The deployment keeps up where every event was acknowledged and the sink was
not further behind at the end than its periods explain.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

import msgspec

from infra.bench.load import percentile
from infra.bench.memory import MemoryWatch
from infra.bench.processes import cpu_s
from infra.bench.queryable import Prober
from infra.bench.sessions import FloodedSessions
from infra.sandbox import Sandbox

EVENTS_PER_POST: Final = 100
CONNECTIONS: Final = 128
WARM_UP_S: Final = 5.0
STORED_S_MAX: Final = 10.0
"""After the end until all is there: the sink's period, and one chunk."""
WAITING_S_MAX: Final = 0.5
"""What may not be sent yet at the end, in time of the load."""


class ThroughputFigure(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of it."""

    offered_events_per_s: float
    acknowledged_events_per_s: float
    seconds: float
    posts_p50_ms: float
    posts_p99_ms: float
    refused_posts: int
    queryable_p50_ms: float
    queryable_p95_ms: float
    queryable_p99_ms: float
    stored_after_s: float
    lost_events: int
    doubled_events: int
    generator_cores: float
    keeps_up: bool


class ComponentShare(msgspec.Struct, frozen=True, kw_only=True):
    """What one component took of the machine while the load ran."""

    component: str
    cores: float
    us_per_event: float
    """CPU time."""
    resident_mb_max: int


async def measure_throughput(
    sandbox: Sandbox, events_per_s: float, seconds: float
) -> tuple[ThroughputFigure, list[ComponentShare]]:
    """One rate; whoever took the most of the machine first."""
    sessions = FloodedSessions(sandbox, CONNECTIONS, EVENTS_PER_POST)
    posts_per_s = events_per_s / EVENTS_PER_POST
    await sessions.flood(seconds=WARM_UP_S, posts_per_s=posts_per_s / 2, connections=CONNECTIONS)
    pids, memory = sandbox.pids_by_name(), MemoryWatch(sandbox)
    before_s = {name: cpu_s(pid) for name, pid in pids.items()}
    began_s = time.perf_counter()
    async with Prober(sandbox) as prober:
        watching = asyncio.create_task(memory.run())
        flooded = await sessions.flood(
            seconds=seconds, posts_per_s=posts_per_s, connections=CONNECTIONS
        )
        ended_s = time.perf_counter()
        watching.cancel()
        used_s = {name: cpu_s(pid) - before_s[name] for name, pid in pids.items()}
    waits_ms = prober.waits_ms
    stored = await sessions.until_stored()
    stored_after_s = time.perf_counter() - ended_s
    acknowledged = flooded.answered.get(202, 0)
    shares = [
        ComponentShare(
            component=name,
            cores=used_s[name] / (ended_s - began_s),
            us_per_event=used_s[name] / max(1, acknowledged * EVENTS_PER_POST) * 1e6,
            resident_mb_max=memory.peaks.get(name, 0) // 1_000_000,
        )
        for name in sorted(used_s, key=lambda each: -used_s[each])
    ]
    refused = sum(n for status, n in flooded.answered.items() if status != 202)
    is_taken = refused == 0 and flooded.overdue < posts_per_s * WAITING_S_MAX
    figure = ThroughputFigure(
        offered_events_per_s=events_per_s,
        acknowledged_events_per_s=acknowledged * EVENTS_PER_POST / flooded.took_s,
        seconds=seconds,
        posts_p50_ms=flooded.admitted_p50_ms,
        posts_p99_ms=flooded.admitted_p99_ms,
        refused_posts=refused,
        queryable_p50_ms=percentile(waits_ms, 0.5),
        queryable_p95_ms=percentile(waits_ms, 0.95),
        queryable_p99_ms=percentile(waits_ms, 0.99),
        stored_after_s=stored_after_s,
        lost_events=stored.lost,
        doubled_events=stored.doubled,
        generator_cores=flooded.cpu_share,
        keeps_up=is_taken and stored_after_s <= STORED_S_MAX and not stored.lost,
    )
    return figure, shares
