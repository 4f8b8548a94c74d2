"""`playhead accounts`."""

from __future__ import annotations

import asyncio

import click
import msgspec

from agents.account.history import History, said
from infra.cli.account_option import resolve_account
from infra.cli.accounts_erase import erase
from infra.cli.accounts_sign_events import sign_events
from infra.cli.output import json_option, print_rows
from infra.deployment import Deployment
from infra.operations.account_history import read_account_history
from infra.operations.households import HouseholdView, read_accounts, read_household
from infra.operations.moments import instant, parse_moment
from infra.settings import load_settings
from schemas.accounts import Account
from schemas.errors import PlayheadError
from streams.clock import system_clock


@click.group("accounts")
def command() -> None:
    """Accounts by their pseudonyms; addresses are readable to the account agent alone.

    Example: playhead accounts show --email ada@example.org
    """


command.add_command(erase)
command.add_command(sign_events)


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
    now_ms = system_clock()
    found = [
        account
        for account in accounts.values()
        if plan in ("", account.subscription.plan)
        and state in ("", account.subscription.at(now_ms).state)
    ]
    found.sort(key=lambda account: account.created_at_ms, reverse=True)
    print_rows(
        ("account_id", "plan", "state", "until", "profiles", "created", "version"),
        (
            (
                account.account_id,
                account.subscription.plan,
                _state(account, now_ms),
                _moment(account.subscription.at(now_ms).until_ms),
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


@command.command("history")
@click.option("--account", "account_id", metavar="ACCOUNT", help="The account by its id.")
@click.option("--email", help="The account of this address.")
@click.option("--at", "moment", help="As it was then: 30m, 2026-11-22, 2026-11-22T16:30:00Z.")
@json_option
def history(account_id: str | None, email: str | None, moment: str | None, as_json: bool) -> None:
    """An account at any time, and what changed it when and by whom; no addresses, no names.

    Example: playhead accounts history --email demo@playhead.example --at 2026-11-22
    """
    deployment = Deployment(settings=load_settings())
    account = resolve_account(deployment, account_id, email)
    now_ms = system_clock()
    at_ms = parse_moment(moment, now_ms) if moment else now_ms
    told = asyncio.run(read_account_history(deployment, account, at_ms))
    if as_json:
        click.echo(msgspec.json.encode(told))
        return
    if told.account is None:
        raise PlayheadError(f"the log knows no account {account} at {instant(at_ms)}")
    _print_history(told, at_ms)


def _print_history(told: History, at_ms: int) -> None:
    print_rows(
        ("at", "version", "what", "by", "named", "changes"),
        (
            (instant(c.at_ms), c.version, c.fact, c.by, c.by_name, "; ".join(c.changes))
            for c in told.changes
        ),
    )
    account = told.account
    assert account is not None
    click.echo(f"\n{account.account_id} at {instant(at_ms)}, version {account.version}")
    subscription = account.subscription
    if subscription is not None:
        until = _moment(subscription.until_ms)
        click.echo(f"{said(subscription)}{f' until {until}' if until else ''}\n")
    print_rows(
        ("profile", "language", "maturity", "PIN"),
        (
            (p.profile_id, p.language, p.maturity, "yes" if p.pin_set_at_ms is not None else "")
            for p in account.profiles or ()
        ),
    )
    if not told.is_complete:
        click.echo(
            "\nNot all is known: the log begins later, or an older release told only a part"
            " or signed none of it (`playhead accounts sign-events`).",
            err=True,
        )


def _print(view: HouseholdView) -> None:
    account, subscription = view.account, view.account.subscription.at(system_clock())
    until = _moment(subscription.until_ms)
    click.echo(f"{account.account_id}  since {instant(account.created_at_ms)}")
    click.echo(f"{subscription.plan}, {subscription.state}{f' until {until}' if until else ''}\n")
    print_rows(
        ("profile", "language", "maturity", "PIN"),  # its name is sealed
        (
            (p.profile_id, p.language, p.maturity, "" if p.pin_set_at_ms is None else "yes")
            for p in account.profiles
        ),
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


def _state(account: Account, now_ms: int) -> str:
    if account.erased_at_ms is not None:
        return "erased"
    return "closed" if account.is_closed else account.subscription.at(now_ms).state


def _moment(at_ms: int | None) -> str:
    return "" if at_ms is None else instant(at_ms)
