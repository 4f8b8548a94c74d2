"""A steady load through everything: who pays for it, and how soon an event can be queried.

POSTs of 100 events at a fixed rate, answered or not, from one process on the same machine, whose
own CPU time is told. The deployment keeps up where every event was acknowledged and the sink was
not further behind at the end than its periods explain.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import msgspec

from infra.bench.load import percentile
from infra.bench.processes import cpu_s, resident_bytes
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
LOOK_S: Final = 1.0


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
    """One rate."""
    sessions = FloodedSessions(sandbox, CONNECTIONS, EVENTS_PER_POST)
    posts_per_s = events_per_s / EVENTS_PER_POST
    await sessions.flood(seconds=WARM_UP_S, posts_per_s=posts_per_s / 2, connections=CONNECTIONS)
    usage = _Usage(sandbox)
    async with Prober(sandbox) as prober:
        watching = asyncio.create_task(usage.watch())
        flooded = await sessions.flood(
            seconds=seconds, posts_per_s=posts_per_s, connections=CONNECTIONS
        )
        ended_s = time.perf_counter()
        watching.cancel()
        shares = usage.shares(flooded.answered.get(202, 0) * EVENTS_PER_POST)
    waits_ms = prober.waits_ms
    stored = await sessions.until_stored()
    stored_after_s = time.perf_counter() - ended_s
    acknowledged = flooded.answered.get(202, 0)
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


class _Usage:
    """CPU time and memory of each component from its making on."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._pids: Mapping[str, int] = sandbox.pids_by_name()
        self._cpu_s = {name: cpu_s(pid) for name, pid in self._pids.items()}
        self._since_s = time.perf_counter()
        self._resident_mb = dict.fromkeys(self._pids, 0)

    async def watch(self) -> None:
        """Look at the memory until cancelled."""
        while True:
            for name, pid in self._pids.items():
                with suppress(OSError):
                    seen_mb = resident_bytes(pid) // 1_000_000
                    self._resident_mb[name] = max(seen_mb, self._resident_mb[name])
            await asyncio.sleep(LOOK_S)

    def shares(self, events: int) -> list[ComponentShare]:
        """Whoever took the most first."""
        took_s = time.perf_counter() - self._since_s
        used_s = {name: cpu_s(pid) - self._cpu_s[name] for name, pid in self._pids.items()}
        return [
            ComponentShare(
                component=name,
                cores=used_s[name] / took_s,
                us_per_event=used_s[name] / max(1, events) * 1e6,
                resident_mb_max=self._resident_mb[name],
            )
            for name in sorted(used_s, key=lambda each: -used_s[each])
        ]
