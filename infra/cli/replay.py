"""`playhead replay`."""

from __future__ import annotations

import asyncio

import click
import msgspec

from agents.analytics.replay import ReplayProgress
from infra.cli.output import json_option, print_rows
from infra.cli.progress import progress_bar
from infra.deployment import Deployment
from infra.operations.replay import check_target, replay, window_of
from infra.settings import load_settings
from schemas.errors import PlayheadError
from streams.clock import system_clock
from streams.topics import BY_NAME


@click.command("replay")
@click.argument("topic")
@click.option("--from", "start", metavar="TIME|OFFSET", help="Since 2h, a time, or an offset.")
@click.option("--to", "end", metavar="TIME|OFFSET", help="Up to, without.")
@click.option("--to-group", "group", default="analytics", show_default=True, help="Who reads it.")
@click.option("--dry-run", is_flag=True, help="Only count what is missing.")
@json_option
def command(
    topic: str, start: str | None, end: str | None, group: str, dry_run: bool, as_json: bool
) -> None:
    """Read a window of a topic again into ClickHouse: adds what is missing, doubles nothing.

    Stopped, it goes on by the same command: what is stored is skipped. No license is issued and no
    slot moves: agents read nothing of it. Example: playhead replay playback.events.v1 --from 2h
    """
    if topic not in BY_NAME and topic.removesuffix(".dead-letter") not in BY_NAME:
        raise click.UsageError(f"{topic} is not a topic; `playhead topics list` names them all")
    check_target(topic, group)
    window = window_of(start, end, system_clock())
    deployment = Deployment(settings=load_settings())
    with progress_bar() as bar:
        task = bar.add_task(topic, total=None)

        def show(progress: ReplayProgress) -> None:
            bar.update(task, total=progress.total, completed=progress.read)

        try:
            done = asyncio.run(replay(deployment, topic, window, dry_run=dry_run, on_progress=show))
        except KeyboardInterrupt as error:
            raise PlayheadError("stopped; the same command goes on") from error
    _print(done, dry_run, as_json)


def _print(done: ReplayProgress, dry_run: bool, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(done))
        return
    print_rows(
        ("read", "stored already", "missing" if dry_run else "added", "set aside", "unreadable"),
        [(done.read, done.stored, done.added, done.set_aside, done.unreadable)],
    )
