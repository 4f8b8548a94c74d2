"""`playhead secrets-scan`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import click
import msgspec

from infra.cli.output import json_option, print_rows
from infra.deployment import Deployment
from infra.secrecy.scan import scan_secrets
from infra.settings import load_settings


@click.command("secrets-scan")
@click.option("--home", type=click.Path(path_type=Path), help="Keep data and logs here.")
@json_option
def command(home: Path | None, as_json: bool) -> None:
    """Play on a deployment of its own, then look for every key, token and password it used.

    Looked into: every record of every topic, every table, all files (logs, the broker's segments,
    temporary files), metrics, the memory of processes that need no secret, command lines and
    environments; raw, hexadecimal, base64, base64url. A planted secret must be found in each kind
    of place. Exit code 1 where a secret is found, or the planted one is not.

    Example: playhead secrets-scan --json
    """
    with ExitStack() as stack:
        where = home or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="playhead-secrets-"))
        )
        report = asyncio.run(
            scan_secrets(
                where.absolute(),
                runtime=Deployment(settings=load_settings()).runtime,
                say=lambda text: None if as_json else click.echo(f"{text} …"),
            )
        )
    if as_json:
        click.echo(
            msgspec.json.encode({**msgspec.to_builtins(report), "is_clean": report.is_clean})
        )
    else:
        click.echo(f"{report.secrets} secrets in {report.forms} forms: {len(report.hits)} hits")
        said = ", ".join(f"{count} x {kind}" for kind, count in report.looked_into.items())
        click.echo(f"looked into {said}")
        if report.hits:
            print_rows(("secret", "place"), ((hit.secret, hit.place) for hit in report.hits))
        if report.planted_not_found:
            missed = ", ".join(report.planted_not_found)
            click.echo(f"a planted secret was NOT found: {missed}; nothing is proven there")
        else:
            click.echo("a planted secret was found in each kind of place")
    if not report.is_clean:
        sys.exit(1)
