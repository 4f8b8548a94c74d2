"""`playhead status`."""

from __future__ import annotations

import asyncio

import click
import msgspec

from infra.cli.output import json_option, print_rows
from infra.deployment import Deployment
from infra.operations.moments import size, span
from infra.operations.status import Status, read_status
from infra.settings import load_settings
from streams.clock import system_clock


@click.command("status")
@json_option
def command(as_json: bool) -> None:
    """What runs, where, since when; lag and last commit per group; disk.

    Example: playhead status --json
    """
    now_ms = system_clock()
    status = asyncio.run(read_status(Deployment(settings=load_settings()), now_ms))
    if as_json:
        click.echo(msgspec.json.encode(status))
        return
    _print(status, now_ms)


def _print(status: Status, now_ms: int) -> None:
    if status.started_at_ms is None:
        click.echo(f"{status.home}: no supervisor runs here; `make run` starts everything\n")
    else:
        click.echo(f"{status.home}: up for {span(now_ms - status.started_at_ms)}\n")
        print_rows(
            ("component", "status", "process", "address", "for", "restarts"),
            (
                (
                    c.name,
                    c.status,
                    c.pid or None,
                    c.address,
                    span(now_ms - c.since_ms),
                    c.restart_count,
                )
                for c in status.components
            ),
        )
        click.echo()
    if status.log_error:
        click.echo(f"{status.log_error}\n")
    else:
        _print_groups(status, now_ms)
    occupied = ", ".join(f"{each.folder} {size(each.size_bytes)}" for each in status.folders)
    click.echo(f"disk: {occupied or 'nothing'}; {size(status.free_bytes)} free")


def _print_groups(status: Status, now_ms: int) -> None:
    print_rows(
        ("consumer group", "topics", "lag", "lag for", "last committed"),
        (
            (
                group.consumer_group,
                group.topics,
                group.consumer_lag,
                span(group.consumer_lag_ms) if group.consumer_lag else "",
                _ago(group.last_committed_at_ms, now_ms),
            )
            for group in status.groups
        ),
    )
    click.echo()


def _ago(at_ms: int | None, now_ms: int) -> str:
    return "" if at_ms is None else f"{span(now_ms - at_ms)} ago"
