"""Licenses asked at a fixed rate, from a process of its own, and how late it asked.

`python -m infra.bench.asking` reads its plan from standard input and prints what it found.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import sys
import time
from typing import Final

import aiohttp
import msgspec
import uvloop

from infra.bench.load import percentile

ANSWER_S_MAX: Final = 10.0


class AskingPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    license_url: str
    bodies: tuple[str, ...]
    """Requests, no two alike: equal ones in flight are answered as one."""
    rate_per_s: float
    seconds: float
    core: int


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it; latencies are from the moment a license was due to the whole answer."""

    asked: int
    failed: int
    """Any status but 200, or none."""
    latencies_ms: tuple[float, ...]
    """Of the good ones, in order."""
    lag_p99_ms: float
    """How late requests were sent."""

    def percentile_ms(self, share: float) -> float:
        """0 where there is nothing."""
        return percentile(list(self.latencies_ms), share)

    def within(self, deadline_ms: float) -> float:
        """The share of all that was served in time."""
        return sum(took <= deadline_ms for took in self.latencies_ms) / max(1, self.asked)


async def ask_licenses(plan: AskingPlan) -> Asked:
    """Poisson arrivals, answered or not."""
    arrivals = random.Random(1)  # noqa: S311 - the same load each time
    bodies = itertools.cycle(plan.bodies)
    latencies: list[tuple[float, float]] = []
    lags: list[float] = []
    timeout = aiohttp.ClientTimeout(total=ANSWER_S_MAX)

    async def ask(http: aiohttp.ClientSession, due_s: float) -> None:
        lags.append((time.perf_counter() - due_s) * 1000)
        try:
            async with http.post(plan.license_url, data=next(bodies)) as response:
                await response.read()
        except (aiohttp.ClientError, TimeoutError):
            return
        if response.status == 200:
            latencies.append((due_s, (time.perf_counter() - due_s) * 1000))

    async with aiohttp.ClientSession(timeout=timeout) as http, asyncio.TaskGroup() as group:
        due_s = time.perf_counter()
        end_s = due_s + plan.seconds
        while due_s < end_s:
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            group.create_task(ask(http, due_s))
            due_s += arrivals.expovariate(plan.rate_per_s)
    return Asked(
        asked=len(lags),
        failed=len(lags) - len(latencies),
        latencies_ms=tuple(took for _, took in sorted(latencies)),
        lag_p99_ms=percentile(lags, 0.99),
    )


def main() -> None:
    """Read the plan, ask, print."""
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=AskingPlan)
    os.sched_setaffinity(0, {plan.core})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(ask_licenses(plan))
    print(msgspec.json.encode(found).decode())


if __name__ == "__main__":
    main()
