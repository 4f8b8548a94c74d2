"""`playhead clickhouse`."""

from __future__ import annotations

import os

import click

from infra.clickhouse.launch import plan_launch
from infra.deployment import Deployment
from infra.settings import load_settings


@click.command("clickhouse")
def command() -> None:
    """Run the embedded ClickHouse engine alone, in the foreground.

    Example: PLAYHEAD_CLICKHOUSE_PORT=8123 playhead clickhouse
    """
    deployment = Deployment(settings=load_settings())
    launch = plan_launch(
        deployment.home, deployment.settings.clickhouse_port, database=deployment.database
    )
    os.execve(launch.argv[0], list(launch.argv), dict(launch.env))  # noqa: S606 - it becomes the engine
