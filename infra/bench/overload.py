"""Ten times of what the machine takes in events, and what becomes of licenses meanwhile.

The generators run on one core and the deployment on all others, in the calm phase and in the
overload, so that neither takes CPU time from the other: as if the load came from elsewhere.
A machine with one core shares it; the figures say less there.
"""

from __future__ import annotations

import asyncio
import os
from typing import Final

import msgspec

from infra.bench.asking import Asked, AskingPlan
from infra.bench.flood import Flooded
from infra.bench.licenses import ask, license_plan
from infra.bench.memory import MemoryWatch
from infra.bench.processes import resident_bytes
from infra.bench.sessions import FloodedSessions
from infra.sandbox import Sandbox

TIMES: Final = 10
CALM_CONNECTIONS: Final = 64
CONNECTIONS: Final = 512
CALM_S_MAX: Final = 30.0
WARM_UP_S: Final = 5.0
SETTLE_S: Final = 5.0
LICENSE_MS_MAX: Final = 250.0
FLOOD_NICE: Final = 10
"""The flood shares its core with who asks for licenses, and must not be what delays them."""


class OverloadFigure(msgspec.Struct, frozen=True, kw_only=True):
    """Events a second; milliseconds as the clients saw them; resident memory of the gateway."""

    seconds: float
    deployment_cores: int
    events_per_post: int
    calm_events_per_s: float
    offered_of_calm: float
    admitted_events_per_s: float
    admitted_of_calm: float
    admitted_p99_ms: float
    refused_p50_ms: float
    refused_p99_ms: float
    unanswered: int
    """Connections that ended without an answer, and POSTs that could never be sent."""
    other_statuses: str
    flood_lag_p99_ms: float
    flood_lag_ms_max: float
    licenses_asked: int
    licenses_within_250_ms: float
    license_p50_ms: float
    license_p99_ms: float
    license_p999_ms: float
    calm_license_p99_ms: float
    asker_lag_p99_ms: float
    acknowledged_events: int
    lost_events: int
    doubled_events: int
    stored_after_s: float
    """After the end of the flood, until everything acknowledged could be queried."""
    gateway_mb_calm: int
    gateway_mb_max: int
    gateway_mb_end: int


class Cores(msgspec.Struct, frozen=True, kw_only=True):
    """Who runs where."""

    deployment: frozenset[int]
    generator: int


def split_cores() -> Cores:
    """The last core for the generators, the others for the deployment."""
    cores = sorted(os.sched_getaffinity(0))
    return Cores(deployment=frozenset(cores[:-1] or cores), generator=cores[-1])


async def measure_overload(
    sandbox: Sandbox, cores: Cores, *, seconds: float, events_per_post: int, licenses_per_s: float
) -> OverloadFigure:
    """The deployment runs on its cores already."""
    asking = msgspec.structs.replace(
        await license_plan(sandbox, 1), rate_per_s=licenses_per_s, core=cores.generator
    )
    run = _Run(sandbox, cores, events_per_post, asking)
    calm_s = min(CALM_S_MAX, max(5.0, seconds / 2))
    await run.load(WARM_UP_S, 0, CONNECTIONS)  # every token is checked once
    calm, calm_asked = await run.load(calm_s, 0, CALM_CONNECTIONS)
    calm_rate = calm.answered.get(202, 0) / calm.took_s
    await asyncio.sleep(SETTLE_S)
    calm_mb = run.resident_mb()
    memory = MemoryWatch(sandbox)
    watching = asyncio.create_task(memory.run())
    flooded, asked = await run.load(seconds, TIMES * calm_rate, CONNECTIONS)
    watching.cancel()
    end_mb = run.resident_mb()
    stored = await run.sessions.until_stored()
    admitted = flooded.answered.get(202, 0) / flooded.took_s
    others = {code: n for code, n in flooded.answered.items() if code not in {0, 202, 503}}
    return OverloadFigure(
        seconds=seconds,
        deployment_cores=len(cores.deployment),
        events_per_post=events_per_post,
        calm_events_per_s=calm_rate * events_per_post,
        offered_of_calm=(flooded.sent + flooded.overdue) / flooded.took_s / calm_rate,
        admitted_events_per_s=admitted * events_per_post,
        admitted_of_calm=admitted / calm_rate,
        admitted_p99_ms=flooded.admitted_p99_ms,
        refused_p50_ms=flooded.refused_p50_ms,
        refused_p99_ms=flooded.refused_p99_ms,
        unanswered=flooded.answered.get(0, 0) + flooded.overdue,
        other_statuses=" ".join(f"{code}:{n}" for code, n in sorted(others.items())),
        flood_lag_p99_ms=flooded.lag_p99_ms,
        flood_lag_ms_max=flooded.lag_ms_max,
        licenses_asked=asked.asked,
        licenses_within_250_ms=asked.within(LICENSE_MS_MAX),
        license_p50_ms=asked.percentile_ms(0.5),
        license_p99_ms=asked.percentile_ms(0.99),
        license_p999_ms=asked.percentile_ms(0.999),
        calm_license_p99_ms=calm_asked.percentile_ms(0.99),
        asker_lag_p99_ms=asked.lag_p99_ms,
        acknowledged_events=run.sessions.acknowledged_events,
        lost_events=stored.lost,
        doubled_events=stored.doubled,
        stored_after_s=stored.after_s,
        gateway_mb_calm=calm_mb,
        gateway_mb_max=max(memory.peaks.get("gateway", 0) // 1_000_000, end_mb),
        gateway_mb_end=end_mb,
    )


class _Run:
    """Both generators at once."""

    def __init__(
        self, sandbox: Sandbox, cores: Cores, events_per_post: int, asking: AskingPlan
    ) -> None:
        self._cores = cores
        self._asking = asking
        self._gateway = sandbox.pid_of("gateway")
        self.sessions = FloodedSessions(sandbox, CONNECTIONS, events_per_post)

    async def load(
        self, seconds: float, posts_per_s: float, connections: int
    ) -> tuple[Flooded, Asked]:
        """Flood and ask."""
        return await asyncio.gather(
            self.sessions.flood(
                seconds=seconds,
                posts_per_s=posts_per_s,
                connections=connections,
                core=self._cores.generator,
                nice=FLOOD_NICE,
            ),
            ask(self._asking, seconds=seconds),
        )

    def resident_mb(self) -> int:
        """Of the gateway now."""
        return resident_bytes(self._gateway) // 1_000_000
