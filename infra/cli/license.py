"""`playhead license`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import get_args

import click
import msgspec

from agents.license.policy import Verdict
from infra.cli.account_option import resolve_account
from infra.cli.license_audit import audit
from infra.cli.license_policy import POLICY_FILE, policy
from infra.cli.license_revoke import (
    reinstate_command,
    revocations_command,
    revoke_command,
)
from infra.cli.license_simulate import simulate_command
from infra.cli.output import json_option, print_rows
from infra.deployment import Deployment
from infra.operations.households import Explanation, explain_license
from infra.operations.moments import instant
from infra.policies import policy_in_force, read_policy_file
from infra.settings import load_settings
from schemas.sessions import Anonymizer, Device, Robustness
from streams.clock import system_clock

_PASSED = {True: "yes", False: "NO", None: "-"}


@click.group("license")
def command() -> None:
    """What licenses follow, why one is granted or denied, and whether the record of it is whole.

    Example: playhead license explain --email ada@example.org --content tide --device tv-1
    """


command.add_command(policy)
command.add_command(simulate_command)
command.add_command(audit)
command.add_command(revoke_command)
command.add_command(reinstate_command)
command.add_command(revocations_command)


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
@click.option(
    "--anonymizer",
    "anonymizers",
    multiple=True,
    type=click.Choice(get_args(Anonymizer)),
    help="The address is a VPN's, a host's …; several times.",
)
@click.option(
    "--robustness",
    type=click.Choice(get_args(Robustness)),
    help="The best that the device's DRM has.",
)
@click.option("--policy", "file", type=POLICY_FILE, help="Another policy than the one in force.")
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
    anonymizers: tuple[Anonymizer, ...],
    robustness: Robustness | None,
    file: Path | None,
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
            Device(
                device_id=device_id,
                model=model,
                hdcp=hdcp,
                max_height=max_height,
                robustness=robustness or "",
            ),
            policy=policy_in_force(settings) if file is None else read_policy_file(file),
            profile_id=profile_id,
            region=region or settings.loopback_region,
            anonymizers=anonymizers or None,
            now_ms=system_clock(),
        )
    )
    if as_json:
        click.echo(msgspec.json.encode(explanation))
        return
    _print(explanation)


def _print_granted(verdict: Verdict) -> None:
    cap = f", at most {verdict.max_bitrate_kbps} kbit/s" if verdict.max_bitrate_kbps else ""
    click.echo(f"granted: {', '.join(verdict.tiers)} up to {verdict.max_height} lines{cap}")
    click.echo(
        f"keys: by ClearKey {', '.join(verdict.clear_key_tiers) or 'none'}; "
        f"by upstream services {', '.join(verdict.upstream_tiers) or 'none'}"
    )
    if verdict.rights_until_ms is not None:
        click.echo(f"rights end at {instant(verdict.rights_until_ms)}")
    if verdict.rental is not None and verdict.rental.ends_at_ms is not None:
        click.echo(f"rented until {instant(verdict.rental.ends_at_ms)}")
    if verdict.stopped_session_ids:
        click.echo(f"ends sessions: {', '.join(verdict.stopped_session_ids)}")


def _print(explanation: Explanation) -> None:
    verdict = explanation.verdict
    print_rows(
        ("rule", "asks", "passed", "found"),
        ((f.rule, f.asks, _PASSED[f.passed], f.found) for f in explanation.findings),
    )
    click.echo(f"\npolicy {explanation.policy_version}")
    if verdict.is_granted:
        _print_granted(verdict)
    else:
        click.echo(f"denied: {verdict.reason}")
    facts = {
        name: value
        for name, value in msgspec.structs.asdict(verdict.facts).items()
        if value not in ("", None, (), {})
    }
    click.echo("facts: " + ", ".join(f"{name} {value}" for name, value in facts.items()))
