"""`playhead backup`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from infra.cli.output import json_option, print_rows
from infra.cli.passphrase_option import passphrase_option, read_passphrase
from infra.cli.progress import progress_bar
from infra.deployment import Deployment
from infra.operations.backups.backup import back_up, new_file
from infra.operations.backups.secret_keys import seal_keys
from infra.operations.operator import require_keys
from infra.settings import load_settings
from streams.clock import system_clock


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--into-home", is_flag=True, help="Name the file by the time, under home/backups.")
@click.option(
    "--keys",
    "keys_file",
    type=click.Path(path_type=Path),
    help="Also seal the deployment's secret keys into this file; keep it elsewhere.",
)
@click.option("--with-kek", is_flag=True, help="Also the root of content keys; a token keeps its.")
@passphrase_option
@click.option("--dry-run", is_flag=True, help="Only count.")
@json_option
def command(
    file: Path | None,
    into_home: bool,
    keys_file: Path | None,
    with_kek: bool,
    passphrase_file: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Write accounts, titles, wrapped keys, sessions, decisions and watches to a file.

    Nothing stops meanwhile. Media are backed up with their storage, events stay in ClickHouse.
    Example: playhead backup /backups/monday.gz --keys /safe/keys --with-kek
    """
    if with_kek and keys_file is None:
        raise click.UsageError("--with-kek says what goes into --keys FILE")
    deployment = Deployment(settings=load_settings())
    require_keys(deployment)
    if (file is None) != into_home:
        raise click.UsageError("name a file, or say --into-home")
    target = file if file is not None else new_file(deployment, system_clock())
    if keys_file is not None and not dry_run:
        passphrase = read_passphrase(passphrase_file, confirms=True)
        seal_keys(deployment.keys, keys_file, passphrase, with_kek=with_kek)
    with progress_bar() as bar:
        task = bar.add_task("backup", total=None)
        counts = asyncio.run(
            back_up(
                deployment,
                None if dry_run else target,
                system_clock,
                lambda topic, done, total: bar.update(
                    task, description=topic, completed=done, total=total
                ),
            )
        )
    print_rows(("topic", "records"), counts.items(), as_json=as_json)
