"""Makes the pairs that are missing, in a deployment of its own."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from typing import Final

import msgspec

from infra.bench.abr.trace import Trace
from infra.bench.players.chromium import running_chromium
from infra.bench.players.networks import recording_from, start_s
from infra.bench.players.results import ARMS, Arm, Pair, Results, is_done
from infra.bench.players.score import PlayFailedError, Watched
from infra.bench.players.title import make_title
from infra.bench.players.watching import Theater, begin_experiment, watch
from infra.deployment import Deployment
from infra.sandbox import Sandbox, running_components, share_runtime
from infra.settings import Settings, load_settings
from infra.stack import with_ports

COMPONENTS: Final = (
    *("kafka", "clickhouse", "migrations", "gateway"),
    *("license", "catalog", "bitrate", "edge-alpha"),
)
"""What a decision passes on its way; one edge, as a viewer has one network."""
ATTEMPTS_MAX: Final = 3
"""Of a pair, where the machine was too busy."""

Key = tuple[str, str, int]


class Plan(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What is wanted."""

    players: tuple[str, ...]
    networks: Mapping[str, Trace]
    runs: int
    parallel: int
    """Plays at once; both of a pair are."""

    def missing(self, results: Results) -> list[Key]:
        """Every player and network once before any of them twice."""
        wanted = product(range(self.runs), self.networks, self.players)
        keys = ((player, network, run) for run, network, player in wanted)
        return [key for key in keys if not is_done(results, key)]


async def measure(plan: Plan, results: Results, take: Callable[[Pair, float], Results]) -> None:
    """Hands each pair to `take` with the seconds that are left, and goes by what that returns.

    Raises PlayheadError where the deployment or Chromium does not come up.
    """
    if not plan.missing(results):
        return
    async with _deployment(results.seconds) as sandbox:
        experiment = await begin_experiment(sandbox)
        theater = Theater(sandbox=sandbox, experiment=experiment, results=results)
        for _ in range(ATTEMPTS_MAX):
            batches = list(_batches(plan.missing(results), max(1, plan.parallel // 2)))
            for number, batch in enumerate(batches):
                began_s = time.monotonic()
                await _forget(sandbox)
                pairs = await _play(theater, plan, batch)
                left_s = (time.monotonic() - began_s) * (len(batches) - number - 1)
                for pair in pairs:
                    results = take(pair, left_s)


@asynccontextmanager
async def _deployment(seconds: int) -> AsyncIterator[Sandbox]:
    runtime = Deployment(settings=load_settings()).home / "runtime"
    with tempfile.TemporaryDirectory(prefix="playhead-bench-") as home:
        share_runtime(Path(home), runtime)
        settings = Settings(
            home=home,
            gateway_port=0,
            kafka_port=0,
            clickhouse_port=0,
            cdn_urls="http://127.0.0.1:0",
            demo=False,
            canary=False,
        )
        async with running_components(with_ports(settings), only=COMPONENTS) as sandbox:
            await make_title(sandbox.deployment, seconds)
            yield sandbox


async def _forget(sandbox: Sandbox) -> None:
    """A new bitrate worker: what it learned of a network must not serve the next play over it.

    A session is learned from ten minutes after its end, so this one knows of none.
    """
    await sandbox.wait_ready(not_pid=sandbox.kill("bitrate"))


async def _play(theater: Theater, plan: Plan, batch: Sequence[Key]) -> Sequence[Pair]:
    """All at the same time."""
    seed = theater.results.seed
    async with running_chromium() as browser:

        async def one(key: Key, arm: Arm) -> Watched | str:
            player, network, run = key
            trace = plan.networks[network]
            recording = recording_from(trace, start_s(network, trace, run, seed))
            try:
                return await watch(theater, browser, player, arm, recording)
            except PlayFailedError as error:
                return f"{arm}: {error}"

        tasks = [[asyncio.create_task(one(key, arm)) for arm in ARMS] for key in batch]
        try:
            return [
                _pair(key, plan, seed, await ours, await theirs)
                for key, (ours, theirs) in zip(batch, tasks, strict=True)
            ]
        finally:
            for task in (each for pair in tasks for each in pair):
                task.cancel()


def _pair(key: Key, plan: Plan, seed: int, ours: Watched | str, theirs: Watched | str) -> Pair:
    player, network, run = key
    return Pair(
        player=player,
        network=network,
        run=run,
        start_s=start_s(network, plan.networks[network], run, seed),
        product=ours if isinstance(ours, Watched) else None,
        alone=theirs if isinstance(theirs, Watched) else None,
        problem="; ".join(each for each in (ours, theirs) if isinstance(each, str)),
    )


def _batches(keys: Sequence[Key], size: int) -> Iterator[Sequence[Key]]:
    for first in range(0, len(keys), size):
        yield keys[first : first + size]
