"""`playhead simulate`."""

from __future__ import annotations

import asyncio
import ipaddress
import sys
from urllib.parse import urlsplit

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from infra.cli.output import json_option, print_rows
from infra.deployment import Deployment
from infra.settings import load_settings
from infra.simulate.crowd import MINUTES_MAX, VIEWERS_MAX, Plan, simulate
from infra.simulate.tally import RequestFigures, SimulationReport, Tally


@click.command("simulate")
@click.option(
    "--viewers", default=20, show_default=True, type=click.IntRange(1, VIEWERS_MAX), help="At once."
)
@click.option(
    "--rate",
    default=5.0,
    show_default=True,
    type=click.FloatRange(0, 200, min_open=True),
    help="Viewers that arrive per second.",
)
@click.option(
    "--minutes",
    default=2.0,
    show_default=True,
    type=click.FloatRange(0, MINUTES_MAX, min_open=True),
)
@click.option("--segments", is_flag=True, help="Fetch the media too, from the CDN.")
@click.option("--seed", default=1, show_default=True, help="The same seed, the same viewers.")
@click.option("--gateway", help="Another address than this deployment's gateway.")
@click.option("--yes-really", is_flag=True, help="Also against an address that is not loopback.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@json_option
def command(
    viewers: int,
    rate: float,
    minutes: float,
    segments: bool,
    seed: int,
    gateway: str | None,
    yes_really: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Realistic viewers over HTTP: sign in, open sessions, take licenses, play, pause, seek, stall.

    Sessions appear in ClickHouse like anybody's, on accounts simulated-N@playhead.example. Exit
    code 1 where nothing played or an event was lost. Example: playhead simulate --viewers 100
    """
    deployment = Deployment(settings=load_settings())
    root = (gateway or deployment.gateway_url()).rstrip("/")
    if not is_loopback(root) and not yes_really:
        raise click.UsageError(f"{root} is not on this machine: say --yes-really if it is yours")
    plan = Plan(viewers=viewers, rate=rate, minutes=minutes, fetches_segments=segments, seed=seed)
    if dry_run:
        click.echo(f"{viewers} viewers, {rate:g} arriving per second, {minutes:g} min, on {root}")
        return
    report = _simulate(deployment, root, plan)
    if as_json:
        click.echo(msgspec.json.encode(report))
    else:
        _print(report)
    if not report.is_good:
        sys.exit(1)


def is_loopback(root: str) -> bool:
    """Whether the address can only be this machine."""
    host = urlsplit(root).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _simulate(deployment: Deployment, root: str, plan: Plan) -> SimulationReport:
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        transient=True,
        disable=not sys.stderr.isatty(),
    ) as bar:
        task = bar.add_task("accounts", total=1.0)

        def show(tally: Tally, share: float) -> None:
            said = f"{tally.watching} watching, {tally.opened} sessions, {tally.accepted} events"
            bar.update(task, description=said, completed=share)

        return asyncio.run(simulate(deployment, root, plan, show))


def _print(report: SimulationReport) -> None:
    denied = sum(report.sessions_denied.values())
    click.echo(
        f"{report.took_s:.0f} s: {report.sessions_opened} sessions opened, {denied} denied,"
        f" {report.licenses} licenses"
    )
    click.echo(
        f"events: {report.events_accepted} of {report.events_sent} accepted"
        f" ({report.events_per_s:g}/s), {report.events_refused} refused, {report.events_lost} lost"
    )
    if report.segments:
        click.echo(f"segments: {report.segments}, {report.segment_bytes / 1e6:.1f} MB")
    click.echo()
    columns = RequestFigures.__struct_fields__
    print_rows(columns, ([getattr(row, name) for name in columns] for row in report.requests))
    for what, count in {**report.sessions_denied, **report.errors}.items():
        click.echo(f"  {count} x {what}")
