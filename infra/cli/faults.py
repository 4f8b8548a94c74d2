"""`playhead faults`."""

from __future__ import annotations

import asyncio
import secrets
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import click

from infra.deployment import Deployment
from infra.faults.report import encode_report, print_report
from infra.faults.run import Plan, run_faults
from infra.faults.schedule import Schedule, make_schedule, read_schedule, write_schedule
from infra.settings import load_settings

FAULTS, EVENTS, RATE_PER_S, CLIENTS = 72, 300_000, 1_000.0, 32


@click.command("faults")
@click.option("--seed", type=int, help="Of faults and traffic; default: a new one, printed.")
@click.option("--faults", "count", default=FAULTS, show_default=True, help="How many.")
@click.option("--events", default=EVENTS, show_default=True, help="To be acknowledged at least.")
@click.option("--rate", default=RATE_PER_S, show_default=True, help="Events a second.")
@click.option("--clients", default=CLIENTS, show_default=True, help="Sessions at a time.")
@click.option("--schedule", "file", type=click.Path(path_type=Path, exists=True), help="Replay it.")
@click.option("--plan-only", is_flag=True, help="Print the schedule and do nothing.")
@click.option("--report", type=click.Path(path_type=Path), help="Write the report as JSON.")
@click.option("--home", type=click.Path(path_type=Path), help="Keep data, logs and ledger here.")
def command(
    seed: int | None,
    count: int,
    events: int,
    rate: float,
    clients: int,
    file: Path | None,
    plan_only: bool,
    report: Path | None,
    home: Path | None,
) -> None:
    """Strike a deployment of its own under load; exits 1 where an event was lost or doubled.

    Example: playhead faults --seed 7 --faults 12 --events 20000
    """
    schedule = _schedule(seed, count, file)
    if plan_only:
        click.echo(write_schedule(schedule))
        return
    plan = Plan(
        schedule=schedule,
        events=events,
        rate_per_s=rate,
        clients=clients,
        runtime=Deployment(settings=load_settings()).runtime,
    )
    with ExitStack() as stack:
        where = home or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="playhead-faults-"))
        )
        where.mkdir(parents=True, exist_ok=True)
        (where / "schedule.json").write_bytes(write_schedule(schedule))
        click.echo(f"seed {schedule.seed}, {len(schedule.faults)} faults")
        result = asyncio.run(run_faults(plan, where.absolute(), click.echo))
    if report is not None:
        report.write_bytes(encode_report(result))
    print_report(result)
    sys.exit(0 if result.is_clean else 1)


def _schedule(seed: int | None, count: int, file: Path | None) -> Schedule:
    if file is not None:
        return read_schedule(file.read_bytes())
    return make_schedule(secrets.randbits(31) if seed is None else seed, count)
