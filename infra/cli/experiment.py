"""`playhead experiment`."""

from __future__ import annotations

import asyncio
import getpass
import secrets
from typing import Any, Final, get_args

import click
import msgspec

from infra.cli.output import json_option, print_rows
from infra.deployment import Deployment
from infra.operations.experiment_results import ArmResult, read_results
from infra.operations.experimenting import (
    ExperimentError,
    parse_arm,
    read_experiments,
    start_experiment,
    stop_experiment,
)
from infra.operations.moments import instant
from infra.settings import load_settings
from schemas.errors import InvalidMessageError
from schemas.experiments import Arm, Experiment, Subject
from streams.clock import system_clock
from streams.experiments import NOTICE_MS

RESULT_COLUMNS: Final = (
    *("arm", "sessions", "QoE", "difference", "from", "to"),
    *("first frame ms", "rebuffer ratio", "kbit/s", "start failures"),
)


class _ArmType(click.ParamType):
    """`name=policy:share`."""

    name = "arm"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Arm:
        """Wrong use where it is none."""
        try:
            return parse_arm(value)
        except InvalidMessageError as error:
            self.fail(error.detail, param, ctx)


@click.group("experiment")
def command() -> None:
    """Compare policies, each on its share of the sessions; an arm that harms stops by itself.

    Example: playhead experiment start alone --arm control=stochastic-mpc:0.5 --arm none=player:0.5
    """


@command.command("list")
@json_option
def list_experiments(as_json: bool) -> None:
    """Every experiment that ever was, the latest first.

    Example: playhead experiment list
    """
    found = asyncio.run(read_experiments(Deployment(settings=load_settings())))
    rows = [
        (each.name, each.subject, _state(each), instant(each.started_at_ms), _shares(each), each.by)
        for each in found
    ]
    columns = ("experiment", "subject", "state", "since", "arms", "by")
    print_rows(columns, rows, as_json=as_json)


@command.command("show")
@click.argument("name")
@json_option
def show_experiment(name: str, as_json: bool) -> None:
    """Its arms, and how their sessions do against the control's.

    The bounds of the difference hold however often they are looked at; below 0 the arm harms.

    Example: playhead experiment show alone
    """
    deployment = Deployment(settings=load_settings())
    found = asyncio.run(read_experiments(deployment))
    experiment = next((each for each in found if each.name == name), None)
    if experiment is None:
        raise ExperimentError(f"no experiment is named {name}: `playhead experiment list`")
    results = read_results(deployment, name)
    if as_json:
        told = {"experiment": experiment, "results": results}
        click.echo(msgspec.json.encode(told).decode())
        return
    _tell(experiment, as_json=False)
    click.echo("")
    print_rows(RESULT_COLUMNS, [_result(each) for each in results])


@command.command("start")
@click.argument("name")
@click.option("--subject", type=click.Choice(get_args(Subject)), default="bitrate")
@click.option(
    "--arm",
    "arms",
    type=_ArmType(),
    multiple=True,
    required=True,
    metavar="NAME=POLICY:SHARE",
    help="The first is the control. What the shares leave of 1 takes no part. Policies of bitrate:"
    " stochastic-mpc, robust-rate, player (no ceiling), shadow (decided, told to nobody).",
)
@click.option("--alpha", default=0.05, show_default=True, help="Chance of a false alarm, ever.")
@click.option("--dry-run", is_flag=True, help="Only say whether it could be started.")
@json_option
def start(
    name: str, subject: Subject, arms: tuple[Arm, ...], alpha: float, dry_run: bool, as_json: bool
) -> None:
    """Begin with the sessions that are opened from a few seconds on; those before take no part.

    \b
    Example: playhead experiment start alone --arm control=stochastic-mpc:0.5 --arm none=player:0.5
             playhead experiment start quiet --arm all=stochastic-mpc:0.9 --arm shadow=shadow:0.1
    """
    now_ms = system_clock()
    experiment = Experiment(
        name=name,
        subject=subject,
        salt=secrets.token_hex(16),
        arms=arms,
        alpha=alpha,
        by=getpass.getuser(),
        at_ms=now_ms,
        started_at_ms=now_ms + NOTICE_MS,
    )
    deployment = Deployment(settings=load_settings())
    asyncio.run(start_experiment(deployment, experiment, dry_run=dry_run))
    if not as_json:
        click.echo(f"{name} {'could start' if dry_run else 'starts'} now")
    _tell(experiment, as_json=as_json)


@command.command("stop")
@click.argument("name")
@click.option("--arm", default="", help="Only this one: its sessions are treated as the control's.")
@click.option("--reason", default="stopped by hand", help="For other operators.")
@click.option("--dry-run", is_flag=True, help="Only say whether it could be stopped.")
@json_option
def stop_command(name: str, arm: str, reason: str, dry_run: bool, as_json: bool) -> None:
    """Treat every session as if there were no experiment. Its results stay.

    Example: playhead experiment stop alone --reason "we know enough"
    """
    deployment = Deployment(settings=load_settings())
    stopping = stop_experiment(
        deployment,
        name,
        system_clock(),
        by=getpass.getuser(),
        reason=reason,
        arm=arm,
        dry_run=dry_run,
    )
    experiment = asyncio.run(stopping)
    if not as_json:
        click.echo(f"{arm or name} {'could be stopped' if dry_run else 'is stopped'}")
    _tell(experiment, as_json=as_json)


def _tell(experiment: Experiment, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(experiment).decode())
        return
    click.echo(
        f"{experiment.name} ({experiment.subject}): {_state(experiment)},"
        f" from {instant(experiment.started_at_ms)}; {experiment.metric}, alpha {experiment.alpha}"
    )
    rows = [
        (arm.name, arm.policy, arm.share, _arm_state(experiment, arm), arm.stopped_reason)
        for arm in experiment.arms
    ]
    print_rows(("arm", "policy", "share", "state", "reason"), rows)


def _state(experiment: Experiment) -> str:
    if experiment.stopped_at_ms is None:
        return "running"
    return f"stopped {instant(experiment.stopped_at_ms)}: {experiment.stopped_reason}"


def _arm_state(experiment: Experiment, arm: Arm) -> str:
    if arm is experiment.arms[0]:
        return "control"
    return "running" if arm.stopped_at_ms is None else f"stopped {instant(arm.stopped_at_ms)}"


def _shares(experiment: Experiment) -> str:
    return ", ".join(f"{arm.name}={arm.policy}:{arm.share}" for arm in experiment.arms)


def _result(result: ArmResult) -> tuple[Any, ...]:
    cells = msgspec.structs.astuple(result)
    return tuple(f"{cell:.4g}" if isinstance(cell, float) else cell for cell in cells)
