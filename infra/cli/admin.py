"""`playhead admin`."""

from __future__ import annotations

import getpass
from typing import get_args

import click

from infra.deployment import Deployment
from infra.keys.admin import DAY_S
from infra.operations.operator import operator_token
from infra.settings import load_settings
from schemas.tokens import ADMIN_TOKEN_S_MAX, AdminRole


@click.group("admin")
def command() -> None:
    """Who administers.

    Example: playhead admin token create --role billing
    """


@command.group("token")
def token() -> None:
    """Tokens for people and machines that are not viewers.

    Example: playhead admin token create --role ingest --subject encoder-7 --days 90
    """


@token.command("create")
@click.option("--role", type=click.Choice(get_args(AdminRole)), required=True)
@click.option("--subject", default=None, help="Whom it is for; default: who runs this.")
@click.option(
    "--days", default=30, show_default=True, type=click.IntRange(1, ADMIN_TOKEN_S_MAX // DAY_S)
)
@click.option(
    "--content",
    "contents",
    multiple=True,
    help="Of a packager: a content that it may have keys of, `drama-*` for all that begin so.",
)
def create(role: AdminRole, subject: str | None, days: int, contents: tuple[str, ...]) -> None:
    """Print a new token; it is kept nowhere. `playhead license revoke token TOKEN` takes it back.

    \b
    Example: export TOKEN=$(playhead admin token create --role catalog --days 7)
             playhead admin token create --role packager --subject encoder-7 --content 'drama-*'
    """
    deployment = Deployment(settings=load_settings())
    whom = subject or getpass.getuser()
    created = operator_token(
        deployment, role, subject=whom, lifetime_s=days * DAY_S, contents=contents
    )
    click.echo(created)
