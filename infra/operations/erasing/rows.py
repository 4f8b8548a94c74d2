"""An account's rows in ClickHouse made nobody's, so that every count stays what it was; pure.

The migrations mark each column that is personal (`[personal]` begins its comment), so a new table
is covered by saying so. Ids of account and profiles are replaced by new ones that nothing knows,
networks and devices taken out: how many rows, sessions and viewers there were does not change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from schemas.errors import PlayheadError
from streams.topics import LICENSE_DECISIONS

COLUMNS: Final = """
SELECT table, name, (is_in_sorting_key OR is_in_partition_key) AS is_in_key
FROM system.columns
WHERE database = currentDatabase() AND startsWith(comment, '[personal]') AND type = 'String'
  AND table IN (SELECT name FROM system.tables
                WHERE database = currentDatabase() AND engine LIKE '%MergeTree')
ORDER BY table, name
"""
KEPT: Final = {"decisions_raw": f"topic != '{LICENSE_DECISIONS.name}'"}
"""License decisions are the audit chain: a row that was changed is one that somebody tampered with.
They hold pseudonyms, and go when their retention ends (docs/security.md)."""
_ID: Final = re.compile(r"[0-9A-Za-z-]{8,64}")
_IN_PAYLOADS: Final = r"""'"(network|device_id)":"[^"]*"', '"\\1":"erased"'"""


class PersonalColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column that the migrations mark as personal."""

    table: str
    name: str
    is_in_key: bool


class TableErasure(msgspec.Struct, frozen=True, kw_only=True):
    """The statements for one table."""

    table: str
    count_before: str
    """Rows that hold one of the ids."""
    rewrite: str
    count_after: str
    """Rows that hold one of the new ids."""


def plan_rows(
    columns: Iterable[PersonalColumn], ids: Mapping[str, str]
) -> tuple[TableErasure, ...]:
    """For each table, with old ids to new ones. Raises PlayheadError for what is no id."""
    for each in (*ids, *ids.values()):
        if not _ID.fullmatch(each):
            raise PlayheadError(f"{each!r} is no id")
    by_table: dict[str, list[str]] = {}
    for column in columns:
        # What rows are sorted by cannot be rewritten: sessions' ids, which name nobody by then.
        if not column.is_in_key:
            by_table.setdefault(column.table, []).append(column.name)
    return tuple(_plan(table, names, ids) for table, names in sorted(by_table.items()))


def _plan(table: str, columns: Sequence[str], ids: Mapping[str, str]) -> TableErasure:
    kept = KEPT.get(table, "1")
    holds_old = f"({_holds(columns, ids)}) AND {kept}"
    assignments = ", ".join(f"{name} = {_rewritten(name, ids)}" for name in columns)
    return TableErasure(
        table=table,
        count_before=f"SELECT count() FROM {table} FINAL WHERE {holds_old}",  # noqa: S608 - names of our own tables, ids that were checked
        rewrite=f"ALTER TABLE {table} UPDATE {assignments} WHERE {holds_old}",
        count_after=f"SELECT count() FROM {table} FINAL WHERE {_holds(columns, ids.values())}",  # noqa: S608 - the same
    )


def _holds(columns: Sequence[str], ids: Iterable[str]) -> str:
    wanted = ", ".join(f"'{each}'" for each in ids)
    return " OR ".join(f"multiSearchAny({name}, [{wanted}])" for name in columns)


def _rewritten(column: str, ids: Mapping[str, str]) -> str:
    if column == "network":
        return "''"
    text = column
    for old, new in ids.items():
        text = f"replaceAll({text}, '{old}', '{new}')"
    return f"replaceRegexpAll({text}, {_IN_PAYLOADS})" if column == "payload" else text
