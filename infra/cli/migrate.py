"""`playhead migrate`: ClickHouse's tables and views."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import click
import clickhouse_connect
from clickhouse_connect.driver.client import Client

from infra.cli.output import json_option, print_rows
from infra.clickhouse.migrate import migrate_down, migrate_up, plan_down, plan_up, status
from infra.deployment import Deployment
from infra.settings import load_settings


@click.group("migrate")
def command() -> None:
    """ClickHouse schema: what is applied, apply, take back.

    Example: playhead migrate status
    """


def _connect() -> tuple[Client, str]:
    """A writer's client that names no database, which may not exist yet, and the database."""
    deployment = Deployment(settings=load_settings())
    parts = urlsplit(deployment.clickhouse_url())
    client = clickhouse_connect.get_client(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or (8443 if parts.scheme == "https" else 8123),
        username=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        secure=parts.scheme == "https",
        autogenerate_session_id=False,
    )
    return client, parts.path.strip("/") or deployment.database


@command.command("status")
@json_option
def show_status(as_json: bool) -> None:
    """Every migration and whether it is applied.

    Example: playhead migrate status
    """
    client, database = _connect()
    print_rows(
        ("version", "name", "state", "applied_at"),
        ((s.version, s.name, s.state, s.applied_at) for s in status(client, database)),
        as_json=as_json,
    )


@command.command("up")
@click.option("--dry-run", is_flag=True, help="Only say what would be applied.")
def up(dry_run: bool) -> None:
    """Apply what is pending.

    Example: playhead migrate up --dry-run
    """
    client, database = _connect()
    steps = plan_up(client, database) if dry_run else migrate_up(client, database)
    for step in steps:
        click.echo(f"{'would apply' if dry_run else 'applied'} {step.title}")
    click.echo(f"{len(steps)} migrations {'pending' if dry_run else 'applied'}")


@command.command("down")
@click.option("--steps", default=1, show_default=True, help="How many, the newest first.")
@click.option("--dry-run", is_flag=True, help="Only say what would be taken back.")
def down(steps: int, dry_run: bool) -> None:
    """Take back the newest migrations, with their data.

    Example: playhead migrate down --dry-run
    """
    client, database = _connect()
    planned = plan_down(client, database, steps=steps)
    if not dry_run:
        planned = migrate_down(client, database, steps=steps)
    for step in planned:
        click.echo(f"{'would take back' if dry_run else 'took back'} {step.title}")
