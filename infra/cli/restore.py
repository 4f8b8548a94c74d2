"""`playhead restore`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from infra.cli.output import json_option, print_rows
from infra.cli.passphrase_option import passphrase_option, read_passphrase
from infra.cli.progress import progress_bar
from infra.deployment import Deployment
from infra.operations.backups.restore import broker_alone, check_fits, restore
from infra.operations.backups.secret_keys import open_keys, place_keys
from infra.settings import load_settings


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--keys",
    "keys_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The sealed keys, where this home has none.",
)
@passphrase_option
@click.option("--dry-run", is_flag=True, help="Only check the file and count.")
@json_option
def command(
    file: Path,
    keys_file: Path | None,
    passphrase_file: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Put a backup into an empty log, with nobody running; `make run` then goes on with it.

    ClickHouse must be empty too: offsets begin anew, and the log fills it again.
    Example: playhead restore /backups/monday.gz --keys /safe/keys
    """
    deployment = Deployment(settings=load_settings())
    if keys_file is not None:
        opened = open_keys(keys_file, read_passphrase(passphrase_file, confirms=False))
        place_keys(opened, deployment.keys)
    counts = asyncio.run(_restore(deployment, file, dry_run))
    print_rows(("topic", "records"), counts.items(), as_json=as_json)


async def _restore(deployment: Deployment, file: Path, dry_run: bool) -> dict[str, int]:
    # Before anything starts: a start makes new keys where it finds none.
    counts = await asyncio.to_thread(check_fits, deployment, file)
    if dry_run:
        return counts
    with progress_bar() as bar:
        task = bar.add_task("restore", total=None)
        async with broker_alone(deployment) as alone:
            return await restore(
                alone,
                file,
                lambda topic, done, total: bar.update(
                    task, description=topic, completed=done, total=total
                ),
            )
