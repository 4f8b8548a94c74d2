"""How commands name an account: by id, or by address."""

from __future__ import annotations

from uuid import UUID

import click

from infra.deployment import Deployment
from infra.operations.operator import account_id_of


def resolve_account(deployment: Deployment, account_id: str | None, email: str | None) -> str:
    """The account's id. Raises click.UsageError where neither or both are given, or it is none."""
    if (account_id is None) == (email is None):
        raise click.UsageError("name the account by its id or by --email, one of them")
    if email is not None:
        return account_id_of(deployment, email)
    assert account_id is not None
    try:
        return str(UUID(account_id))
    except ValueError as error:
        raise click.UsageError(f"{account_id!r} is no account id; by address: --email") from error
