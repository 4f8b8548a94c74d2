"""Where a replay may go, which part of the log it reads, and how it goes on after a kill."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from agents.analytics.intakes import stored_topics
from agents.analytics.pace import Pace
from agents.analytics.replay import ReplayState, begin, replay_topic
from agents.analytics.store import Store, parse_store_url
from agents.analytics.windows import Window
from infra.deployment import Deployment
from infra.operations.log_access import SINK_GROUP, saying_why
from infra.operations.moments import parse_moment
from infra.operations.operator import require_keys
from infra.operations.replay_jobs import ReplayCommand, ReplayJob, ReplayJobs
from schemas.errors import PlayheadError
from streams.clock import Clock, system_clock

INTO_CLICKHOUSE: Final = frozenset({"analytics", SINK_GROUP})

REFUSED: Final = {
    "account": "an account's requests count once: their deadlines are past",
    "catalog": "its requests count once: their deadlines are past",
    "recommendation": "it would learn the same watches twice: `playhead recommend rebuild`",
    "fold": "it skips what it has folded, so nothing would come of it",
}
"""Why it is not read again, not even in shadow (P5)."""


class ReplayRefusedError(PlayheadError):
    """This would act twice; the message says why and what to do instead."""


def check_target(topic_name: str, group: str) -> None:
    """Raise ReplayRefusedError unless the topic may be read again into the group."""
    if group not in INTO_CLICKHOUSE:
        why = REFUSED.get(group, "it is no group of this deployment")
        raise ReplayRefusedError(
            f"nothing is replayed into {group}: {why}."
            f" Into ClickHouse: playhead replay {topic_name}"
        )
    if topic_name not in stored_topics():
        raise ReplayRefusedError(
            f"{topic_name} does not go to ClickHouse, and what it asks for was answered:"
            " there is nothing to replay"
        )


def window_of(start: str | None, end: str | None, now_ms: int) -> Window:
    """The window of `--from` and `--to`; digits alone are an offset of every partition.

    Raises click.BadParameter.
    """
    from_offset, from_ms = _border(start, now_ms)
    to_offset, to_ms = _border(end, now_ms)
    return Window(from_ms=from_ms, to_ms=to_ms, from_offset=from_offset, to_offset=to_offset)


def _border(text: str | None, now_ms: int) -> tuple[int | None, int | None]:
    if text is None:
        return None, None
    if text.isdigit() and len(text) <= 18:
        return int(text), None
    return None, parse_moment(text, now_ms)


class Progress:
    """Keeps the job's file and tells how it goes."""

    def __init__(
        self,
        jobs: ReplayJobs,
        job: ReplayJob,
        on_progress: Callable[[ReplayJob], None],
        *,
        clock: Clock,
        is_kept: bool,
    ) -> None:
        self.job = job
        self._jobs = jobs
        self._on_progress = on_progress
        self._clock = clock
        self._is_kept = is_kept
        self._begun_s = time.monotonic()
        self._begun_read = job.state.progress.read

    def keep(self, state: ReplayState) -> None:
        """`agents.analytics.replay.Keep`: with nothing left it is finished."""
        self.keep_open(state)
        if not state.left and self.job.finished_at_ms is None:
            self.finish()

    def finish(self) -> None:
        """Nothing is to be done any more."""
        self.job = msgspec.structs.replace(self.job, finished_at_ms=self._clock())
        if self._is_kept:
            self._jobs.save(self.job)

    def keep_open(self, state: ReplayState) -> None:
        """The same where something comes after the last record."""
        elapsed_s = time.monotonic() - self._begun_s
        read = state.progress.read - self._begun_read
        self.job = msgspec.structs.replace(
            self.job,
            state=state,
            updated_at_ms=self._clock(),
            rate_per_s=read / elapsed_s if elapsed_s > 0 else 0.0,
        )
        if self._is_kept and self.job.finished_at_ms is None:
            self._jobs.save(self.job)
        self._on_progress(self.job)


@asynccontextmanager
async def opened_store(deployment: Deployment, database: str = "") -> AsyncIterator[Store]:
    """ClickHouse as the sink sees it; or a database beside."""
    address = parse_store_url(deployment.clickhouse_url())
    store = Store(msgspec.structs.replace(address, database=database or address.database))
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


async def replay(
    deployment: Deployment,
    command: ReplayCommand,
    *,
    dry_run: bool,
    rate_max: int,
    on_progress: Callable[[ReplayJob], None],
) -> ReplayJob:
    """Read the window into ClickHouse: missing rows are added, none is doubled.

    May be stopped or killed at any point; the same command goes on where it was. Raises
    ReplayRunningError, NoKeysError, LogUnreachableError.
    """
    state_key = require_keys(deployment).state_key()
    broker = deployment.broker()
    jobs = ReplayJobs(deployment.home)
    with jobs.holding(command), saying_why(broker):
        job = jobs.unfinished(command) if not dry_run else None
        if job is None:
            window = window_of(command.start or None, command.end or None, system_clock())
            state = await begin(broker, command.topic, window, group=SINK_GROUP)
            now_ms = system_clock()
            job = ReplayJob(
                command=command, state=state, started_at_ms=now_ms, updated_at_ms=now_ms
            )
        job = msgspec.structs.replace(job, rate_max=rate_max)
        told = Progress(jobs, job, on_progress, clock=system_clock, is_kept=not dry_run)
        async with opened_store(deployment) as store:
            await replay_topic(
                broker,
                store,
                command.topic,
                job.state,
                state_key=state_key,
                dry_run=dry_run,
                keep=told.keep,
                pace=Pace(rate_max),
            )
        return told.job
