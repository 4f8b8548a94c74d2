"""`playhead license`."""

from __future__ import annotations

import asyncio
import sys

import click
import msgspec

from infra.cli.account_option import resolve_account
from infra.cli.output import json_option, print_rows
from infra.deployment import Deployment
from infra.operations.households import Explanation, audit_decisions, explain_license
from infra.settings import load_settings
from schemas.sessions import Device
from streams.clock import system_clock

_PASSED = {True: "yes", False: "NO", None: "-"}


@click.group("license")
def command() -> None:
    """Why a license is granted or denied, and whether the record of it is whole.

    Example: playhead license explain --email ada@example.org --content tide --device tv-1
    """


@command.command("explain")
@click.option("--account", "account_id", help="The account's id.")
@click.option("--email", help="The account of this address.")
@click.option("--content", "content_id", required=True, help="The content id.")
@click.option("--device", "device_id", required=True, help="The device id.")
@click.option("--model", default="", help="The device's model.")
@click.option("--hdcp", default="", help="The device's HDCP version: none, 1.4, 2.2 …")
@click.option("--max-height", type=int, help="What the device can show, in lines.")
@click.option("--profile", "profile_id", help="The profile's id; default: the first one.")
@click.option("--region", help="ISO 3166-1; default: that of loopback addresses.")
@json_option
def explain(
    account_id: str | None,
    email: str | None,
    content_id: str,
    device_id: str,
    model: str,
    hdcp: str,
    max_height: int | None,
    profile_id: str | None,
    region: str | None,
    as_json: bool,
) -> None:
    """Each rule's word on a new session now; asks nobody and takes no slot.

    Example: playhead license explain --email ada@example.org --content tide --device tv-1
    """
    settings = load_settings()
    deployment = Deployment(settings=settings)
    explanation = asyncio.run(
        explain_license(
            deployment,
            resolve_account(deployment, account_id, email),
            content_id,
            Device(device_id=device_id, model=model, hdcp=hdcp, max_height=max_height),
            profile_id=profile_id,
            region=region or settings.loopback_region,
            now_ms=system_clock(),
        )
    )
    if as_json:
        click.echo(msgspec.json.encode(explanation))
        return
    _print(explanation)


@command.command("audit")
@json_option
def audit(as_json: bool) -> None:
    """Check MAC and hash chain of every decision; exit code 1 where one does not fit.

    Example: playhead license audit
    """
    result = asyncio.run(audit_decisions(Deployment(settings=load_settings())))
    if as_json:
        click.echo(msgspec.json.encode(result))
    else:
        click.echo(
            f"{result.decisions} decisions ({result.granted} granted, {result.denied} denied),"
            f" {len(result.broken)} break the chain, {result.unreadable} are not the agent's"
        )
        for place in result.broken:
            click.echo(f"  {place}: does not follow the decision before it")
    if result.broken or result.unreadable:
        sys.exit(1)


def _print(explanation: Explanation) -> None:
    verdict = explanation.verdict
    print_rows(
        ("rule", "asks", "passed"),
        ((f.rule, f.asks, _PASSED[f.passed]) for f in explanation.findings),
    )
    if verdict.is_granted:
        tiers = ", ".join(verdict.tiers)
        cap = f", at most {verdict.max_bitrate_kbps} kbit/s" if verdict.max_bitrate_kbps else ""
        click.echo(f"\ngranted: {tiers} up to {verdict.max_height} lines{cap}")
    else:
        click.echo(f"\ndenied: {verdict.reason}")
    facts = {
        name: value
        for name, value in msgspec.structs.asdict(verdict.facts).items()
        if value not in ("", None, ())
    }
    click.echo("facts: " + ", ".join(f"{name} {value}" for name, value in facts.items()))
