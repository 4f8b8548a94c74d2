"""Ten times of what the machine takes in events, and what becomes of licenses meanwhile.

The generators run on one core and the deployment on all others, in the calm phase and in the
overload, so that neither takes CPU time from the other: as if the load came from elsewhere.
A machine with one core shares it; the figures say less there.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from typing import Final, TypeVar

import aiohttp
import msgspec

from infra.bench.asking import Asked, AskingPlan
from infra.bench.flood import Flooded, FloodPlan, first_sequence
from infra.bench.licenses import license_bodies, list_title, open_session
from infra.bench.processes import resident_bytes
from infra.bench.tokens import a_session
from infra.sandbox import Sandbox

T = TypeVar("T")

TIMES: Final = 10
CALM_CONNECTIONS: Final = 64
CONNECTIONS: Final = 512
CALM_S_MAX: Final = 30.0
WARM_UP_S: Final = 5.0
SETTLE_S: Final = 5.0
LICENSE_MS_MAX: Final = 250.0
FLOOD_NICE: Final = 10
"""The flood shares its core with who asks for licenses, and must not be what delays them."""
STORED_TIMEOUT_S: Final = 1_800.0


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
    run = _Run(sandbox, cores, events_per_post, await _license_plan(sandbox, licenses_per_s, cores))
    calm_s = min(CALM_S_MAX, max(5.0, seconds / 2))
    await run.load(WARM_UP_S, 0, CALM_CONNECTIONS)
    calm, calm_asked = await run.load(calm_s, 0, CALM_CONNECTIONS)
    calm_rate = calm.answered.get(202, 0) / calm.took_s
    await asyncio.sleep(SETTLE_S)
    calm_mb = run.resident_mb()
    watching = asyncio.create_task(run.watch_memory())
    flooded, asked = await run.load(seconds, TIMES * calm_rate, CONNECTIONS)
    watching.cancel()
    end_mb = run.resident_mb()
    stored = await run.until_stored()
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
        acknowledged_events=run.acknowledged_events(),
        lost_events=stored.lost,
        doubled_events=stored.doubled,
        stored_after_s=stored.after_s,
        gateway_mb_calm=calm_mb,
        gateway_mb_max=max(run.seen_mb, default=end_mb),
        gateway_mb_end=end_mb,
    )


class _Stored(msgspec.Struct, frozen=True, kw_only=True):
    lost: int
    doubled: int
    after_s: float


class _Run:
    """The sessions of a run, what each of them had acknowledged, and both generators."""

    def __init__(
        self, sandbox: Sandbox, cores: Cores, events_per_post: int, asking: AskingPlan
    ) -> None:
        self._sandbox = sandbox
        self._cores = cores
        self._events_per_post = events_per_post
        self._asking = asking
        self._source = f"flood-{secrets.token_hex(4)}"
        self._gateway = sandbox.pid_of("gateway")
        sessions = (a_session(sandbox.deployment) for _ in range(CONNECTIONS))
        self._sessions = tuple(sessions)
        self._posts = [0] * CONNECTIONS
        self.seen_mb: list[int] = []

    async def load(
        self, seconds: float, posts_per_s: float, connections: int
    ) -> tuple[Flooded, Asked]:
        """Flood and ask at once."""
        plan = FloodPlan(
            url=self._sandbox.deployment.gateway_url(),
            sessions=self._sessions[:connections],
            source=self._source,
            first_posts=tuple(self._posts[:connections]),
            events_per_post=self._events_per_post,
            posts_per_s=posts_per_s,
            seconds=seconds,
            core=self._cores.generator,
            nice=FLOOD_NICE,
        )
        asking = msgspec.structs.replace(self._asking, seconds=seconds)
        flooded, asked = await asyncio.gather(
            _run_process("infra.bench.flood", plan, Flooded),
            _run_process("infra.bench.asking", asking, Asked),
        )
        self._posts[:connections] = flooded.acknowledged_posts
        return flooded, asked

    def acknowledged_events(self) -> int:
        """Over all runs."""
        return sum(self._posts) * self._events_per_post

    def resident_mb(self) -> int:
        """Of the gateway now."""
        return resident_bytes(self._gateway) // 1_000_000

    async def watch_memory(self) -> None:
        """Until cancelled."""
        while True:
            self.seen_mb.append(self.resident_mb())
            await asyncio.sleep(1.0)

    async def until_stored(self) -> _Stored:
        """Wait until as many events are stored as were acknowledged, or no more come."""
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        last, last_s = -1, started_s
        while True:
            stored = await self._stored()
            found = sum(distinct for _, distinct, _ in stored.values())
            now_s = loop.time()
            if found != last:
                last, last_s = found, now_s
            lost = self._lost(stored)
            if lost == 0 or now_s - last_s > 60 or now_s - started_s > STORED_TIMEOUT_S:
                doubled = sum(count - distinct for count, distinct, _ in stored.values())
                return _Stored(lost=lost, doubled=doubled, after_s=now_s - started_s)
            await asyncio.sleep(2.0)

    def _lost(self, stored: dict[str, tuple[int, int, int]]) -> int:
        """Each session's sequences are gapless from the first POST to the last acknowledged one."""
        lost = 0
        for (session_id, _), posts in zip(self._sessions, self._posts, strict=True):
            _, distinct, highest = stored.get(session_id, (0, 0, 0))
            gaps = highest - first_sequence(self._events_per_post) + 1 - distinct if distinct else 0
            lost += max(gaps, posts * self._events_per_post - distinct, 0)
        return lost

    async def _stored(self) -> dict[str, tuple[int, int, int]]:
        """By session: rows, distinct sequences, the highest one."""
        deployment = self._sandbox.deployment
        query = (
            "SELECT toString(session_id), count(), uniqExact(sequence), max(sequence) "  # noqa: S608 - the database is the settings'
            f"FROM {deployment.database}.events WHERE source = {{source:String}} "
            "GROUP BY session_id FORMAT JSONCompactEachRowWithNames"
        )
        params = {
            "query": query,
            "param_source": self._source,
            "output_format_json_quote_64bit_integers": "0",
        }
        async with (
            aiohttp.ClientSession() as http,
            http.get(deployment.reader_address(), params=params) as response,
        ):
            response.raise_for_status()
            lines = (await response.read()).splitlines()[1:]
        rows = [msgspec.json.decode(line, type=tuple[str, int, int, int]) for line in lines]
        return {session_id: (count, distinct, top) for session_id, count, distinct, top in rows}


async def _license_plan(sandbox: Sandbox, rate_per_s: float, cores: Cores) -> AskingPlan:
    keys = await list_title(sandbox)
    async with aiohttp.ClientSession() as http:
        license_url = await open_session(sandbox, http)
    return AskingPlan(
        license_url=license_url,
        bodies=tuple(body.decode() for body in license_bodies(keys)),
        rate_per_s=rate_per_s,
        seconds=0,
        core=cores.generator,
    )


async def _run_process(module: str, plan: msgspec.Struct, found: type[T]) -> T:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate(msgspec.json.encode(plan))
    if process.returncode != 0:
        raise RuntimeError(f"{module} ended with {process.returncode}")
    return msgspec.json.decode(output, type=found)
