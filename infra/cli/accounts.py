"""`playhead accounts`."""

from __future__ import annotations

import asyncio

import click
import msgspec

from infra.cli.account_option import resolve_account
from infra.cli.output import json_option, print_rows
from infra.deployment import Deployment
from infra.operations.households import HouseholdView, read_accounts, read_household
from infra.operations.moments import instant
from infra.settings import load_settings
from streams.clock import system_clock


@click.group("accounts")
def command() -> None:
    """Accounts by their pseudonyms; addresses are readable to the account agent alone.

    Example: playhead accounts show --email ada@example.org
    """


@command.command("list")
@click.option("--plan", default="", help="Only this plan.")
@click.option("--state", default="", help="Only this state of the subscription.")
@click.option("-n", "--last", default=50, show_default=True, help="The newest so many; 0: all.")
@json_option
def list_accounts(plan: str, state: str, last: int, as_json: bool) -> None:
    """The accounts, newest first.

    Example: playhead accounts list --plan premium --state active
    """
    accounts = asyncio.run(read_accounts(Deployment(settings=load_settings())))
    found = [
        account
        for account in accounts.values()
        if plan in ("", account.subscription.plan) and state in ("", account.subscription.state)
    ]
    found.sort(key=lambda account: account.created_at_ms, reverse=True)
    print_rows(
        ("account_id", "plan", "state", "until", "profiles", "created", "version"),
        (
            (
                account.account_id,
                account.subscription.plan,
                "closed" if account.is_closed else account.subscription.state,
                _moment(account.subscription.until_ms),
                len(account.profiles),
                instant(account.created_at_ms),
                account.version,
            )
            for account in (found[:last] if last else found)
        ),
        as_json=as_json,
    )


@command.command("show")
@click.argument("account_id", required=False, metavar="[ACCOUNT]")
@click.option("--email", help="The account of this address.")
@json_option
def show(account_id: str | None, email: str | None, as_json: bool) -> None:
    """One account: subscription, profiles, devices, and the sessions that hold its slots.

    Example: playhead accounts show --email demo@playhead.example
    """
    deployment = Deployment(settings=load_settings())
    account = resolve_account(deployment, account_id, email)
    view = asyncio.run(read_household(deployment, account, system_clock()))
    if as_json:
        click.echo(msgspec.json.encode(view))
        return
    _print(view)


def _print(view: HouseholdView) -> None:
    account, subscription = view.account, view.account.subscription
    until = _moment(subscription.until_ms)
    click.echo(f"{account.account_id}  since {instant(account.created_at_ms)}")
    click.echo(f"{subscription.plan}, {subscription.state}{f' until {until}' if until else ''}\n")
    print_rows(
        ("profile", "name", "language", "maturity"),
        ((p.profile_id, p.name, p.language, p.maturity) for p in account.profiles),
    )
    click.echo()
    print_rows(
        ("device", "model", "os", "last seen"),
        ((d.device_id, d.model, d.os, instant(d.last_seen_at_ms)) for d in view.devices),
    )
    click.echo()
    print_rows(
        ("running session", "content", "device", "opened"),
        (
            (s.session_id, s.content_id, s.device.device_id, instant(s.opened_at_ms))
            for s in view.sessions
        ),
    )


def _moment(at_ms: int | None) -> str:
    return "" if at_ms is None else instant(at_ms)
