"""`playhead replay`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import click
import msgspec

from agents.analytics.replay import ReplayProgress
from infra.cli.output import json_option, print_rows
from infra.cli.progress import replay_bar
from infra.deployment import Deployment
from infra.operations.moments import instant, span
from infra.operations.replacing import replace
from infra.operations.replay import check_target, replay, window_of
from infra.operations.replay_jobs import ReplayCommand, ReplayJob, ReplayJobs
from infra.operations.replay_replace import Replaced, partition_id
from infra.operations.shadow.rules import Rules
from infra.operations.shadowing import RULES, rules_of, shadow
from infra.settings import load_settings
from schemas.errors import PlayheadError
from streams.clock import system_clock
from streams.topics import BY_NAME

T = TypeVar("T")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The options, as they were given."""

    topic: str
    start: str | None
    end: str | None
    group: str
    dry_run: bool
    rate: int
    replaced: str | None
    allow_fewer: bool
    warm_up: bool
    again: bool
    as_json: bool


@click.command("replay")
@click.argument("topic", required=False)
@click.option("--from", "start", metavar="TIME|OFFSET", help="Since 2h, a time, or an offset.")
@click.option("--to", "end", metavar="TIME|OFFSET", help="Up to, without.")
@click.option(
    "--to-group",
    "group",
    default="analytics",
    show_default=True,
    help=f"Who reads it: analytics, or in shadow {', '.join(RULES)}.",
)
@click.option("--dry-run", is_flag=True, help="Only count; nothing is changed.")
@click.option(
    "--rate",
    default=10_000,
    show_default=True,
    type=click.IntRange(0, 10_000_000),
    help="Records a second at most; 0: as fast as it goes.",
)
@click.option(
    "--replace",
    "replaced",
    metavar="PERIOD",
    help="Build this day (2026-11-22; decisions: month) anew beside the table, and swap it in.",
)
@click.option("--allow-fewer", is_flag=True, help="Swap also where the period loses rows.")
@click.option("--warm-up", is_flag=True, help="Into an agent: fold what came before the window.")
@click.option("--again", is_flag=True, help="Begin anew instead of going on where it stopped.")
@click.option("--list", "lists", is_flag=True, help="Show replays with rate and time left.")
@json_option
def command(topic: str | None, as_json: bool, lists: bool, **options: Any) -> None:
    """Read a window of a topic again: what is missing is added, nothing is doubled.

    Killed, it goes on where it was by the same command. Into an agent it is a shadow: decisions go
    to TOPIC.shadow, nothing is issued. Example: playhead replay playback.events.v1 --from 2h
    """
    deployment = Deployment(settings=load_settings())
    if lists:
        _print_jobs(ReplayJobs(deployment.home), as_json)
        return
    if topic is None:
        raise click.UsageError("name a topic; `playhead topics list` names them all")
    if topic not in BY_NAME and topic.removesuffix(".dead-letter") not in BY_NAME:
        raise click.UsageError(f"{topic} is not a topic; `playhead topics list` names them all")
    asked = Asked(topic=topic, as_json=as_json, **options)
    window_of(asked.start, asked.end, system_clock())  # says what is wrong before anything opens
    if (rules := rules_of(deployment, topic, asked.group)) is not None:
        _shadow(deployment, rules, asked)
    else:
        check_target(topic, asked.group)
        _into_clickhouse(deployment, asked)


def _into_clickhouse(deployment: Deployment, asked: Asked) -> None:
    if asked.warm_up:
        raise click.UsageError("--warm-up is for agents: ClickHouse is asked what it has")
    if asked.replaced is not None:
        partition_id(asked.replaced)
    job = ReplayCommand(
        topic=asked.topic,
        start=asked.start or "",
        end=asked.end or "",
        period=asked.replaced or "",
    )
    if asked.again:
        ReplayJobs(deployment.home).forget(job)
    if asked.replaced is not None:
        replaced = _run(
            asked.topic,
            lambda show: replace(
                deployment,
                job,
                dry_run=asked.dry_run,
                allows_fewer=asked.allow_fewer,
                rate_max=asked.rate,
                on_progress=show,
            ),
        )
        _print_replaced(replaced, asked.as_json)
        return
    done = _run(
        asked.topic,
        lambda show: replay(
            deployment, job, dry_run=asked.dry_run, rate_max=asked.rate, on_progress=show
        ),
    )
    _print_progress(done.state.progress, asked.dry_run, asked.as_json)


def _run(topic: str, work: Callable[[Callable[[ReplayJob], None]], Coroutine[Any, Any, T]]) -> T:
    with replay_bar() as bar:
        task = bar.add_task(topic, total=None, rate="")

        def show(job: ReplayJob) -> None:
            total = job.state.progress.total
            done = total - job.state.left_count
            bar.update(task, total=total, completed=done, rate=f"{job.rate_per_s:,.0f}/s")

        try:
            return asyncio.run(work(show))
        except KeyboardInterrupt as error:
            raise PlayheadError("stopped; the same command goes on") from error


def _shadow(deployment: Deployment, rules: Rules, asked: Asked) -> None:
    if asked.replaced is not None:
        raise click.UsageError("--replace is for ClickHouse")
    window = window_of(asked.start, asked.end, system_clock())
    with replay_bar() as bar:
        task = bar.add_task(asked.topic, total=None, rate="")
        report = asyncio.run(
            shadow(
                deployment,
                rules,
                asked.topic,
                window,
                dry_run=asked.dry_run,
                warms_up=asked.warm_up,
                rate_max=asked.rate,
                on_progress=lambda r: bar.update(task, total=r.total, completed=r.read),
            )
        )
    if asked.as_json:
        click.echo(msgspec.json.encode(report))
        return
    names = [name for name in report.__struct_fields__ if name != "differences"]
    print_rows(names, [[getattr(report, name) for name in names]])
    if report.differences:
        click.echo()
        print_rows(
            ("of", "on", "was", "would be"),
            (
                (each.subject, each.cause, each.was or "not recorded", each.would_be)
                for each in report.differences
            ),
        )


def _print_progress(done: ReplayProgress, dry_run: bool, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(done))
        return
    print_rows(
        ("read", "stored already", "missing" if dry_run else "added", "set aside", "unreadable"),
        [(done.read, done.stored, done.added, done.set_aside, done.unreadable)],
    )


def _print_replaced(done: Replaced, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(done))
        return
    names = done.__struct_fields__
    print_rows(names, [[getattr(done, name) for name in names]])


def _print_jobs(jobs: ReplayJobs, as_json: bool) -> None:
    print_rows(
        ("topic", "from", "to", "replaces", "state", "done", "of", "added", "rate", "left", "at"),
        (
            (
                job.command.topic,
                job.command.start,
                job.command.end,
                job.command.period,
                _state_of(jobs, job),
                job.state.progress.total - job.state.left_count,
                job.state.progress.total,
                job.state.progress.added,
                round(job.rate_per_s),
                span(job.left_ms) if job.left_ms is not None else "",
                instant(job.updated_at_ms),
            )
            for job in jobs.list()
        ),
        as_json=as_json,
    )


def _state_of(jobs: ReplayJobs, job: ReplayJob) -> str:
    if job.finished_at_ms is not None:
        return "done"
    return "running" if jobs.is_running(job.command) else "stopped"
