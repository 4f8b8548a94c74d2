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
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import msgspec
import uvloop

from infra.bench.load import Poster, percentile

ANSWER_S_MAX: Final = 10.0


class AskingPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    license_urls: tuple[str, ...]
    """Asked in turn, all at one gateway."""
    bodies: tuple[str, ...]
    """Requests, no two alike: equal ones in flight are answered as one."""
    rate_per_s: float = 0
    """Poisson arrivals, answered or not; 0: as fast as `connections` are answered."""
    connections: int = 0
    players: int = 0
    """So many connections take turns."""
    seconds: float = 0
    core: int | None = None


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it; latencies are from the moment a license was due to the whole answer."""

    asked: int
    took_s: float
    latencies_ms: tuple[float, ...]
    """Of the good ones, in the order in which they were due."""
    refused_ms: tuple[float, ...]
    """Of those with 503."""
    statuses: dict[int, int]
    """0: no answer."""
    lag_p99_ms: float
    """How late requests were sent."""

    def percentile_ms(self, share: float) -> float:
        """0 where there is nothing."""
        return percentile(list(self.latencies_ms), share)

    def within(self, deadline_ms: float) -> float:
        """The share of all that was served in time."""
        return sum(took <= deadline_ms for took in self.latencies_ms) / max(1, self.asked)


class _Asking:
    """The requests in turn, and what came of them."""

    def __init__(self, plan: AskingPlan) -> None:
        self._plan = plan
        self._poster = Poster(plan.license_urls[0], players=plan.players, within_s=ANSWER_S_MAX)
        paths = [urlsplit(url).path for url in plan.license_urls]
        # The next request is of another session: equal ones are far apart.
        self._requests = itertools.cycle(
            [(path, body.encode()) for body in plan.bodies for path in paths]
        )
        self._latencies: list[tuple[float, float]] = []
        self._refused_ms: list[float] = []
        self._statuses: Counter[int] = Counter()
        self._lags: list[float] = []

        self._open_count = 0
        self._all_answered = asyncio.Event()

    async def run(self) -> Asked:
        began_s = time.perf_counter()
        await (self._at_a_rate() if self._plan.rate_per_s else self._at_once())
        await self._settle()
        self._poster.close()
        return Asked(
            asked=len(self._lags),
            took_s=time.perf_counter() - began_s,
            latencies_ms=tuple(took for _, took in sorted(self._latencies)),
            refused_ms=tuple(self._refused_ms),
            statuses=dict(self._statuses),
            lag_p99_ms=percentile(self._lags, 0.99),
        )

    async def _at_a_rate(self) -> None:
        arrivals = random.Random(1)  # noqa: S311 - the same load each time
        due_s = time.perf_counter()
        end_s = due_s + self._plan.seconds
        while due_s < end_s:
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            while due_s <= min(time.perf_counter(), end_s):
                self._ask(due_s, self._take)
                due_s += arrivals.expovariate(self._plan.rate_per_s)

    async def _at_once(self) -> None:
        end_s = time.perf_counter() + self._plan.seconds

        def go_on(due_s: float, status: int) -> None:
            self._take(due_s, status)
            now_s = time.perf_counter()
            if now_s < end_s:
                self._ask(now_s, go_on)

        for _ in range(self._plan.connections):
            self._ask(time.perf_counter(), go_on)
        await asyncio.sleep(self._plan.seconds)

    def _ask(self, due_s: float, take: Callable[[float, int], None]) -> None:
        self._lags.append((time.perf_counter() - due_s) * 1000)
        self._open_count += 1
        self._poster.post(*next(self._requests), partial(take, due_s))

    def _take(self, due_s: float, status: int) -> None:
        took_ms = (time.perf_counter() - due_s) * 1000
        self._open_count -= 1
        self._statuses[status] += 1
        if status == 200:
            self._latencies.append((due_s, took_ms))
        elif status == 503:
            self._refused_ms.append(took_ms)
        if not self._open_count:
            self._all_answered.set()

    async def _settle(self) -> None:
        while self._open_count:
            self._all_answered.clear()
            await self._all_answered.wait()


async def ask_licenses(plan: AskingPlan) -> Asked:
    """Run the plan."""
    return await _Asking(plan).run()


def main() -> None:
    """Read the plan, ask, print."""
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=AskingPlan)
    if plan.core is not None:
        os.sched_setaffinity(0, {plan.core})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(ask_licenses(plan))
    print(msgspec.json.encode(found).decode())


if __name__ == "__main__":
    main()
