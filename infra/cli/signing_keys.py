"""`playhead keys rotate signing`."""

from __future__ import annotations

import asyncio
from typing import get_args

import click

from infra.cli.output import json_option, print_rows
from infra.deployment import Deployment
from infra.operations.moments import instant
from infra.operations.operator import require_keys
from infra.operations.signing_rotation import SETTLE_S, rotate_signing_keys
from infra.settings import load_settings
from schemas.envelope import Role

TOKEN_ROLES = ("account", "license")


@click.command("signing")
@click.option(
    "--role",
    "roles",
    type=click.Choice(get_args(Role)),
    multiple=True,
    default=TOKEN_ROLES,
    show_default=True,
    help="Whose key; may be given again. operator: also signs the tokens of `admin token create`.",
)
@click.option(
    "--settle",
    "settle_s",
    type=click.FloatRange(2, 600),
    default=SETTLE_S,
    show_default=True,
    help="Seconds until everybody is taken to know a new key.",
)
@click.option(
    "--at-once",
    is_flag=True,
    help="A key is in wrong hands: what it signed counts no more; viewers' players stop.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be rotated.")
@json_option
def command(
    roles: tuple[Role, ...], settle_s: float, at_once: bool, dry_run: bool, as_json: bool
) -> None:
    """New keys for what signs tokens, requests and replies; nothing is restarted or refused.

    The old public key counts as long as anything that it signed. Cut short, the same command goes
    on where it was.

    Example: playhead keys rotate signing --role account --role license
    """
    deployment = Deployment(settings=load_settings())
    if dry_run:
        keys = require_keys(deployment)
        for role in roles:
            how = "go on with" if keys.signing_keys().is_under_way(role) else "rotate"
            click.echo(f"would {how} {role}: {keys.identity(role).key_id}", err=as_json)
        return
    rotated = asyncio.run(
        rotate_signing_keys(deployment, roles, settle_s=settle_s, at_once=at_once)
    )
    print_rows(
        ("role", "old", "counts_until", "new"),
        (
            (each.role, each.old_key_id, instant(each.old_ends_at_ms), each.new_key_id)
            for each in rotated
        ),
        as_json=as_json,
    )
