"""How commands print: a table for people, JSON for machines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

F = TypeVar("F", bound=Callable[..., Any])

WIDTH_UNBOUND = 10_000
"""Columns of a line that no terminal shows: a pipe gets every cell whole, on one line."""


def print_rows(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, as_json: bool = False
) -> None:
    """Rows as an aligned table, or as a JSON array of objects."""
    if as_json:
        objects = [dict(zip(columns, row, strict=True)) for row in rows]
        click.echo(msgspec.json.encode(objects).decode())
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")  # an id that is cut is of no use
    for row in rows:
        table.add_row(*(_shown(cell) for cell in row))
    width = None if sys.stdout.isatty() else WIDTH_UNBOUND
    Console(soft_wrap=True, width=width).print(table)


def _shown(cell: Any) -> Text:
    """As it is, but for what a terminal would obey: cells hold what anybody has sent."""
    text = "" if cell is None else str(cell)
    return Text("".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text))


def json_option(command: F) -> F:
    """`--json`, as every command that prints data has it."""
    return click.option("--json", "as_json", is_flag=True, help="JSON for machines.")(command)
