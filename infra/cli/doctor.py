"""`playhead doctor`."""

from __future__ import annotations

import asyncio
import sys

import click
import msgspec
from rich.console import Console
from rich.markup import escape

from infra.cli.output import json_option
from infra.deployment import Deployment
from infra.operations.doctor.checks import CHECKS
from infra.operations.doctor.finding import Finding, run_checks
from infra.settings import load_settings
from streams.clock import system_clock


@click.command("doctor")
@json_option
def command(as_json: bool) -> None:
    """Look at everything that may be wrong and say the mend; exit code 1 where something is.

    Example: playhead doctor
    """
    deployment = Deployment(settings=load_settings())
    findings = asyncio.run(run_checks(CHECKS, deployment, system_clock()))
    if as_json:
        click.echo(msgspec.json.encode(findings))
    else:
        _print(findings)
    if not all(finding.is_ok for finding in findings):
        sys.exit(1)


def _print(findings: list[Finding]) -> None:
    console = Console()
    for finding in findings:
        sign = "[green]ok [/]" if finding.is_ok else "[red]bad[/]"
        line = f"{sign} [bold]{escape(finding.check):<16}[/] {escape(finding.says)}"
        console.print(line, highlight=False, soft_wrap=True)
        if finding.mend:
            console.print(f"    {'':<16} → {escape(finding.mend)}", highlight=False, soft_wrap=True)
    wrong = sum(1 for finding in findings if not finding.is_ok)
    console.print(f"\n{len(findings)} looked at, {wrong} to mend")
