"""`playhead settings`."""

from __future__ import annotations

import click
import msgspec
from rich.console import Console
from rich.table import Table

from infra.settings import explain_settings


@click.command("settings")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def command(as_json: bool) -> None:
    """Print every setting with its value, where it comes from and what it means.

    Example: playhead settings
    """
    settings = explain_settings()
    if as_json:
        click.echo(msgspec.json.encode(settings))
        return
    table = Table("setting", "value", "from", "meaning", box=None, pad_edge=False)
    for setting in settings:
        table.add_row(setting.name, setting.value, setting.origin, setting.meaning)
    Console().print(table)
