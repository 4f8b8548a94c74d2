"""`playhead accounts sign-events`."""

from __future__ import annotations

import asyncio

import click
import msgspec

from infra.cli.output import json_option
from infra.deployment import Deployment
from infra.operations.event_signing import sign_account_events
from infra.settings import load_settings


@click.command("sign-events")
@click.option("--dry-run", is_flag=True, help="Say what would be signed; change nothing.")
@json_option
def sign_events(dry_run: bool, as_json: bool) -> None:
    """Sign account events of releases that did not; needed once, after their upgrade.

    What contradicts the accounts goes to dead letters. Unsigned events after a partition's first
    signed one are forged, and never signed. Example: playhead accounts sign-events --dry-run
    """
    deployment = Deployment(settings=load_settings())
    report = asyncio.run(sign_account_events(deployment, dry_run=dry_run))
    if as_json:
        click.echo(msgspec.json.encode(report))
        return
    if not report.unsigned:
        click.echo("every account event is signed")
        return
    tense = "would be " if dry_run else ""
    click.echo(f"{report.unsigned:,} unsigned: {report.signed:,} {tense}signed")
    if report.buried:
        click.echo(
            f"{report.buried:,} {tense}dead letters, for the accounts deny them:"
            " playhead dead-letters list --topic account.events.v1 --each"
        )
