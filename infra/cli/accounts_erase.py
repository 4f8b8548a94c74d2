"""`playhead accounts erase`."""

from __future__ import annotations

import asyncio
import sys

import click
import msgspec

from infra.cli.account_option import resolve_account
from infra.cli.output import json_option, print_rows
from infra.deployment import Deployment
from infra.operations.erasing.erase import Erasure, erase_account
from infra.operations.erasing.proof import Proof
from infra.settings import load_settings


@click.command("erase")
@click.option("--account", "account_id", help="The account's id.")
@click.option("--email", help="The account of this address.")
@click.option("--dry-run", is_flag=True, help="Say what would be erased; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask; there is no way back.")
@click.option(
    "--wait", "waits", is_flag=True, help="Make the broker drop the key from its files, and wait."
)
@json_option
def erase(
    account_id: str | None, email: str | None, dry_run: bool, yes: bool, waits: bool, as_json: bool
) -> None:
    """Destroy an account's key, end its sessions, make its rows nobody's, and prove it.

    Exit code 1 where anything personal is still found. Run it again after a restore of an older
    backup; an erased account is erased again without harm.

    Example: playhead accounts erase --email ada@example.org --dry-run
    """
    deployment = Deployment(settings=load_settings())
    account = resolve_account(deployment, account_id, email)
    if not dry_run and not yes:
        click.confirm(f"Erase {account}? There is no way back", abort=True, err=True)
    erasure = asyncio.run(
        erase_account(
            deployment,
            account,
            dry_run=dry_run,
            waits=waits,
            say=_say,
        )
    )
    if as_json:
        is_proven = {} if dry_run else {"is_proven": erasure.is_proven}
        click.echo(msgspec.json.encode({**msgspec.to_builtins(erasure), **is_proven}))
    else:
        _print(erasure)
    if not dry_run and not erasure.is_proven:
        sys.exit(1)


def _say(text: str) -> None:
    """For whoever waits before a terminal."""
    if sys.stderr.isatty():
        click.echo(f"{text} …", err=True)


def _print(erasure: Erasure) -> None:
    click.echo(f"{erasure.account_id}, {erasure.profiles} profiles")
    if erasure.is_dry_run:
        print_rows(
            ("table", "rows that would be nobody's"),
            ((each.table, each.rows_before) for each in erasure.tables),
        )
        _print_backups(erasure)
        return
    print_rows(
        ("table", "rows before", "nobody's now", "left"),
        (
            (each.table, each.rows_before, each.rows_after, each.rows_left)
            for each in erasure.tables
        ),
    )
    if erasure.proof is not None:
        _print_proof(erasure.proof)
    if erasure.key_is_dropped is None:
        click.echo(
            "\nThe key is destroyed for every reader. In the broker's files its wrapped form lies"
            "\nuntil they are compacted, an hour after that partition is written to again: --wait"
            "\nforces it."
        )
    elif not erasure.key_is_dropped:
        click.echo("\nThe broker did NOT drop the key from its files in time: run it again")
    _print_backups(erasure)


def _print_proof(proof: Proof) -> None:
    click.echo(f"\nlooked for {proof.forms} forms of what was personal in")
    for place in proof.looked_into:
        click.echo(f"  {place}")
    click.echo(f"{len(proof.traces)} hits")
    if proof.traces:
        print_rows(("found", "where"), ((each.what, each.where) for each in proof.traces))
    if proof.expiring:
        click.echo("\ngone within the hour, with the requests that said it:")
        print_rows(("found", "where"), ((each.what, each.where) for each in proof.expiring))
    if proof.pseudonyms:
        click.echo("\nids, which name nobody without the deployment's secret and the address:")
        print_rows(
            ("where", "gone within days"),
            ((each.where, each.gone_within_days or "kept") for each in proof.pseudonyms),
        )


def _print_backups(erasure: Erasure) -> None:
    if erasure.backups:
        click.echo("\nThese backups hold the account's key; delete them, or what they restore:")
    for path in erasure.backups:
        click.echo(f"  {path}")
