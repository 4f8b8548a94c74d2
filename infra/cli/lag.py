"""`playhead lag`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

import click

from infra.cli.output import json_option, print_rows
from infra.deployment import Deployment
from infra.operations.log_access import CONSUMER_GROUPS, saying_why
from infra.settings import load_settings
from streams.clock import system_clock
from streams.lag import GroupLag, read_lags

WATCH_INTERVAL_S = 2.0


@click.command("lag")
@click.option("--watch", is_flag=True, help="Go on every two seconds until Ctrl-C.")
@json_option
def command(watch: bool, as_json: bool) -> None:
    """Print every consumer group's lag, in messages and in time.

    Example: playhead lag --watch
    """
    deployment = Deployment(settings=load_settings())
    while True:
        broker = deployment.broker()
        with saying_why(broker):
            read = asyncio.run(read_lags(broker, CONSUMER_GROUPS, system_clock()))
        lags = with_silent(CONSUMER_GROUPS, read)
        if watch and not as_json:
            click.clear()
        _print(lags, as_json)
        if not watch:
            return
        time.sleep(WATCH_INTERVAL_S)


def with_silent(groups: Iterable[str], lags: Iterable[GroupLag]) -> list[GroupLag]:
    """Also the groups that have committed nothing yet, as a line without a topic."""
    found = list(lags)
    known = {lag.consumer_group for lag in found}
    found += [
        GroupLag(
            consumer_group=group,
            topic="",
            committed_offset=0,
            high_watermark=0,
            consumer_lag=0,
            consumer_lag_ms=0,
        )
        for group in groups
        if group not in known
    ]
    return sorted(found, key=lambda lag: (lag.consumer_group, lag.topic))


def _print(lags: list[GroupLag], as_json: bool) -> None:
    columns = GroupLag.__struct_fields__
    print_rows(columns, ([getattr(lag, name) for name in columns] for lag in lags), as_json=as_json)
