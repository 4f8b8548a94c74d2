"""`playhead subscriptions`."""

from __future__ import annotations

import asyncio
from typing import get_args

import click
import msgspec

from infra.cli.account_option import resolve_account
from infra.deployment import Deployment
from infra.operations.moments import instant, parse_moment
from infra.operations.operator import call_gateway
from infra.policies import policy_in_force
from infra.settings import load_settings
from schemas.subscriptions import SubscriptionState
from streams.clock import system_clock


@click.group("subscriptions")
def command() -> None:
    """What accounts may watch with; in production the billing system says so.

    Example: playhead subscriptions set --email ada@example.org --plan premium
    """


@command.command("set")
@click.argument("account_id", required=False, metavar="[ACCOUNT]")
@click.option("--email", help="The account of this address.")
@click.option("--plan", required=True, help="One of the license policy's.")
@click.option(
    "--state", type=click.Choice(get_args(SubscriptionState)), default="active", show_default=True
)
@click.option("--until", help="When it ends: 2026-12-31, or 2026-12-31T18:00:00Z.")
@click.option("--dry-run", is_flag=True, help="Only say what would be set.")
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
def set_subscription(
    account_id: str | None,
    email: str | None,
    plan: str,
    state: str,
    until: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Set plan and state through the gateway, as the billing system does.

    Example: playhead subscriptions set --email ada@example.org --plan standard --state grace
    """
    deployment = Deployment(settings=load_settings())
    plans = policy_in_force(deployment.settings).plans
    if plan not in plans:
        raise click.UsageError(f"no plan is named {plan}; there are {', '.join(sorted(plans))}")
    account = resolve_account(deployment, account_id, email)
    until_ms = parse_moment(until, system_clock()) if until else None
    ends = f" until {instant(until_ms)}" if until_ms is not None else ""
    if dry_run:
        click.echo(f"would set {account}: {plan}, {state}{ends}")
        return
    path = f"/v1/admin/accounts/{account}/subscription"
    body = {"plan": plan, "state": state, "until_ms": until_ms}
    answer = asyncio.run(call_gateway(deployment, "PUT", path, "billing", body))
    if as_json:
        click.echo(msgspec.json.encode(answer))
        return
    click.echo(f"{account}: {answer['plan']}, {answer['subscription_state']}{ends}")
