"""`playhead license revoke`, `reinstate` and `revocations`."""

from __future__ import annotations

import asyncio
import getpass
from typing import get_args

import click
import msgspec

from infra.cli.output import json_option, print_rows
from infra.deployment import Deployment
from infra.operations.moments import instant
from infra.operations.revoking import (
    read_revocations,
    reinstate,
    revoke,
    sessions_to_end,
    subject_of,
)
from infra.settings import load_settings
from schemas.revocations import REASON_CHARS_MAX, Revocation, RevokedKind
from streams.clock import system_clock

KINDS = click.Choice(get_args(RevokedKind))


@click.command("revoke")
@click.argument("kind", type=KINDS)
@click.argument("subject")
@click.option("--reason", default="", help="For other operators; viewers are not told.")
@click.option("--dry-run", is_flag=True, help="Only tell which sessions it would end.")
@json_option
def revoke_command(
    kind: RevokedKind, subject: str, reason: str, dry_run: bool, as_json: bool
) -> None:
    """Take back an account, a device, a model, a content key, a session or a token, by its id; a
    token also by itself.

    It counts within seconds: sessions end, licenses, manifests and segments are refused. A key is
    given to nobody any more; who has it, has it until the license ends.

    \b
    Example: playhead license revoke model "Tide TV 2019" --reason "its keys are public"
             playhead license revoke account 0199a1f0-6c00-7a3b-8c1d-2e3f40516273 --dry-run
    """
    subject = subject_of(kind, subject)
    if not 0 < len(subject) <= 256:
        raise click.BadParameter("1 to 256 characters", param_hint="SUBJECT")
    if len(reason) > REASON_CHARS_MAX:
        raise click.BadParameter(f"at most {REASON_CHARS_MAX} characters", param_hint="--reason")
    deployment, now_ms = Deployment(settings=load_settings()), system_clock()
    revocation = Revocation(
        kind=kind, subject=subject, by=getpass.getuser(), at_ms=now_ms, reason=reason
    )
    sessions = asyncio.run(sessions_to_end(deployment, revocation, now_ms))
    if not dry_run:
        asyncio.run(revoke(deployment, revocation))
    if as_json:
        report = {"revoked": not dry_run, "session_ids": [s.session_id for s in sessions]}
        click.echo(msgspec.json.encode(report))
        return
    verb = "would end" if dry_run else "end"
    click.echo(f"{len(sessions):,} running sessions {verb}")
    if not dry_run:
        click.echo(f"{kind} {subject} is revoked; `playhead license reinstate` takes it back")


@click.command("reinstate")
@click.argument("kind", type=KINDS)
@click.argument("subject")
def reinstate_command(kind: RevokedKind, subject: str) -> None:
    """Lift a revocation. Sessions that it ended stay ended.

    Example: playhead license reinstate model "Tide TV 2019"
    """
    subject = subject_of(kind, subject)
    if not asyncio.run(reinstate(Deployment(settings=load_settings()), kind, subject)):
        raise click.ClickException(
            f"{kind} {subject} is not revoked: `playhead license revocations`"
        )
    click.echo(f"{kind} {subject} counts again")


@click.command("revocations")
@json_option
def revocations_command(as_json: bool) -> None:
    """What is revoked now, the latest first.

    Example: playhead license revocations
    """
    found = asyncio.run(read_revocations(Deployment(settings=load_settings())))
    rows = [(each.kind, each.subject, instant(each.at_ms), each.by, each.reason) for each in found]
    print_rows(("kind", "subject", "since", "by", "reason"), rows, as_json=as_json)
