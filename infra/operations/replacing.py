"""`playhead replay --replace`, from the plan to the swap."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from agents.analytics.pace import Pace
from agents.analytics.replay import begin, replay_topic
from infra.clickhouse.client import open_client, parse_url
from infra.deployment import Deployment
from infra.operations.log_access import SINK_GROUP, saying_why
from infra.operations.operator import require_keys
from infra.operations.replay import Progress, opened_store, window_of
from infra.operations.replay_jobs import ReplayCommand, ReplayJob, ReplayJobs
from infra.operations.replay_replace import (
    Replaced,
    ReplaceRefusedError,
    Table,
    Twin,
    bring_back,
    stored_until,
    table_shared_by,
)
from streams.broker import Broker
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
    broker, jobs = deployment.broker(), ReplayJobs(deployment.home)
    table, twin = table_shared_by(command.topic), await _twin(deployment, command, dry_run=dry_run)
    state_key = require_keys(deployment).state_key()
    with jobs.holding(command), saying_why(broker):
        job = jobs.unfinished(command) if not dry_run and await twin.is_there() else None
        if job is None:
            job = await _build(broker, twin, table, command)
        told = Progress(jobs, job, on_progress, clock=system_clock, is_kept=not dry_run)
        async with opened_store(deployment, twin.database) as beside:
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
            done = Replaced(
                table=table.name,
                period=command.period,
                before=job.rows_before,
                after=await twin.count(),
                taken_over=job.taken_over,
                is_swapped=not dry_run,
            )
            if not dry_run:
                async with twin.closed():
                    added = await bring_back(broker, beside, job.stored_until, state_key)
                    done = await _counted(twin, done)
                    _check(done, allows_fewer)
                    await twin.swap()
                done = msgspec.structs.replace(done, brought_back=added, closed_ms=twin.closed_ms)
        await twin.drop()
        told.finish()
        return done


async def _twin(deployment: Deployment, command: ReplayCommand, *, dry_run: bool) -> Twin:
    address = parse_url(deployment.clickhouse_url())
    client = await asyncio.to_thread(open_client, address)
    name = f"dry_{command.key}" if dry_run else command.key
    return Twin(client, address.database, table_shared_by(command.topic), command.period, name=name)


async def _build(broker: Broker, twin: Twin, table: Table, command: ReplayCommand) -> ReplayJob:
    """The twin with everything but the window, and the job that fills it."""
    stored = await stored_until(broker, table.topics)
    window = window_of(command.start or None, command.end or None, system_clock())
    state = await begin(broker, command.topic, window, group=SINK_GROUP)
    rows_before = await twin.count_live()  # what comes later is brought back after the swap
    taken_over = await twin.build(state.left, command.topic)
    return ReplayJob(
        command=command,
        state=state,
        started_at_ms=system_clock(),
        rows_before=rows_before,
        taken_over=taken_over,
        stored_until=stored,
    )


async def _counted(twin: Twin, done: Replaced) -> Replaced:
    """Both tables as they are now that nothing is inserted."""
    return msgspec.structs.replace(done, before=await twin.count_live(), after=await twin.count())


def _check(done: Replaced, allows_fewer: bool) -> None:
    if done.after < done.before and not allows_fewer:
        raise ReplaceRefusedError(
            f"{done.table} has {done.before} rows of {done.period}, the log gives {done.after}:"
            " nothing was swapped. Look with --dry-run, then say --allow-fewer"
        )
