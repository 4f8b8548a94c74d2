"""`playhead ledger`."""

from __future__ import annotations

import sys
import time
from typing import Final

import click

from infra.cli.output import json_option, print_rows
from infra.deployment import Deployment
from infra.operations.ledger import LedgerLine, judge_ledger, read_ledger
from infra.operations.moments import instant
from infra.settings import load_settings

WATCH_INTERVAL_S: Final = 5.0
COUNTS: Final = (
    "accepted",
    "in_log",
    "stored",
    "duplicates",
    "conflicts",
    "dead_letters",
    "difference",
    "refused",
    "unavailable",
    "shed",
    "unauthenticated",
)


@click.command("ledger")
@click.option("--minutes", default=15, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--topic", default="", help="Only this topic.")
@click.option("--watch", is_flag=True, help="Go on every five seconds until Ctrl-C.")
@json_option
def command(minutes: int, topic: str, watch: bool, as_json: bool) -> None:
    """Events accepted against what is in the log and in ClickHouse, per minute and topic.

    Exit code 1 where a complete minute misses what was accepted. Example: playhead ledger --watch
    """
    deployment = Deployment(settings=load_settings())
    while True:
        lines = read_ledger(deployment, minutes=minutes, topic=topic)
        if watch and not as_json:
            click.clear()
        _print(lines, as_json)
        wrong = judge_ledger(lines)
        for each in wrong:
            click.echo(
                f"{each.topic}: {each.missing} accepted events are missing, from"
                f" {instant(each.first_minute_ms)} to {instant(each.last_minute_ms)}:"
                f" playhead replay {each.topic} --from {instant(each.first_minute_ms)}",
                err=True,
            )
        if not watch:
            sys.exit(1 if wrong else 0)
        time.sleep(WATCH_INTERVAL_S)


def _print(lines: list[LedgerLine], as_json: bool) -> None:
    print_rows(
        ("minute", "topic", *COUNTS, "complete_until", "is_complete"),
        (
            (
                instant(line.minute_ms),
                line.topic,
                *(getattr(line, name) for name in COUNTS),
                instant(line.complete_until_ms) if line.complete_until_ms is not None else None,
                line.is_complete,
            )
            for line in lines
        ),
        as_json=as_json,
    )
