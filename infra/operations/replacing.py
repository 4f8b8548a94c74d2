"""`playhead replay --replace`, from the plan to the swap."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from agents.analytics.pace import Pace
from agents.analytics.replay import ReplayState, begin, replay_topic
from agents.analytics.store import Store, parse_store_url
from infra.clickhouse.client import open_client, parse_url
from infra.deployment import Deployment
from infra.operations.log_access import saying_why
from infra.operations.operator import require_keys
from infra.operations.replay import Progress, window_of
from infra.operations.replay_jobs import ReplayCommand, ReplayJob, ReplayJobs
from infra.operations.replay_replace import (
    Replaced,
    ReplaceRefusedError,
    Twin,
    bring_back,
    stored_until,
    table_of,
)
from streams.clock import system_clock


async def replace(
    deployment: Deployment,
    command: ReplayCommand,
    *,
    dry_run: bool,
    allows_fewer: bool,
    rate_max: int,
    on_progress: Callable[[ReplayJob], None],
) -> Replaced:
    """Build the period's twin, compare, and swap it in unless it is a dry run.

    Killed before the swap it goes on where it was; killed after it, the same command does it over.
    Raises ReplaceRefusedError where rows would vanish.
    """
    broker, state_key = deployment.broker(), require_keys(deployment).state_key()
    table = table_of(command.topic)
    jobs = ReplayJobs(deployment.home)
    address = parse_url(deployment.clickhouse_url())
    client = await asyncio.to_thread(open_client, address)
    twin = Twin(client, address.database, table, command.period)
    live = Store(parse_store_url(deployment.clickhouse_url()))
    twin_address = msgspec.structs.replace(
        parse_store_url(deployment.clickhouse_url()), database=twin.database
    )
    beside = Store(twin_address)
    with jobs.holding(command), saying_why(broker):
        stored = await stored_until(broker, table.topics)
        job = jobs.unfinished(command) if not dry_run else None
        taken_over = job.taken_over if job is not None else 0
        if job is None:
            window = window_of(command.start or None, command.end or None, system_clock())
            state = await begin(broker, command.topic, window)
            taken_over = await twin.build(state.left, command.topic)
            job = _job(command, state, taken_over, stored)
        else:
            stored = job.stored_until
        told = Progress(jobs, job, on_progress, clock=system_clock, is_kept=not dry_run)
        await live.start()
        await beside.start()
        try:
            if not dry_run:
                jobs.save(job)
            await replay_topic(
                broker,
                beside,
                command.topic,
                job.state,
                state_key=state_key,
                dry_run=False,
                keep=told.keep_open,
                pace=Pace(rate_max),
            )
            before, after = await twin.counts()
            done = Replaced(
                table=table.name,
                period=command.period,
                before=before,
                after=after,
                taken_over=taken_over,
                is_swapped=not dry_run,
            )
            if not dry_run:
                _check(done, allows_fewer)
                await twin.swap()
                added = await bring_back(broker, live, stored, state_key)
                done = msgspec.structs.replace(done, brought_back=added)
            await twin.drop()
            told.finish()
            return done
        finally:
            await live.stop()
            await beside.stop()


def _job(
    command: ReplayCommand,
    state: ReplayState,
    taken_over: int,
    stored: dict[str, dict[int, int]],
) -> ReplayJob:
    return ReplayJob(
        command=command,
        state=state,
        started_at_ms=system_clock(),
        taken_over=taken_over,
        stored_until=stored,
    )


def _check(done: Replaced, allows_fewer: bool) -> None:
    if done.after < done.before and not allows_fewer:
        raise ReplaceRefusedError(
            f"{done.table} has {done.before} rows of {done.period}, the log gives {done.after}:"
            " nothing was swapped. Look with --dry-run, then say --allow-fewer"
        )
