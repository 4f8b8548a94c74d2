"""How commands print: a table for people, JSON for machines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click
import msgspec
from rich.console import Console
from rich.table import Table

F = TypeVar("F", bound=Callable[..., Any])


def print_rows(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, as_json: bool = False
) -> None:
    """Rows as an aligned table, or as a JSON array of objects."""
    if as_json:
        objects = [dict(zip(columns, row, strict=True)) for row in rows]
        click.echo(msgspec.json.encode(objects).decode())
        return
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    Console(soft_wrap=True).print(table)


def json_option(command: F) -> F:
    """`--json`, as every command that prints data has it."""
    return click.option("--json", "as_json", is_flag=True, help="JSON for machines.")(command)
