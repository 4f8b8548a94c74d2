"""The roll-ups of a table whose rows were replaced: each minute concerned is counted anew.

A roll-up counts what is inserted, so it must not be left as it is where rows are swapped. Which
roll-ups there are, and what they count, is asked of the store: a new one is renewed as well.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from clickhouse_connect.driver.client import Client

_VIEWS: Final = """
SELECT name, as_select, extract(create_table_query, 'TO `?[\\\\w-]+`?\\\\.`?(\\\\w+)`?')
FROM system.tables WHERE database = {database:String} AND engine = 'MaterializedView' ORDER BY name
"""
_COLUMNS: Final = """
SELECT name FROM system.columns
WHERE database = {database:String} AND table = {view:String} ORDER BY position
"""


class Rollup(msgspec.Struct, frozen=True, kw_only=True):
    """A materialized view that counts a table by its column `minute`."""

    database: str
    table: str
    """That it writes to; `minute` is a column of it."""
    columns: tuple[str, ...]
    before: str
    """Its SELECT as far as the name of the table that it counts, which follows."""
    after: str

    @property
    def live(self) -> str:
        """The table that it writes to, as statements name it."""
        return f"`{self.database}`.{self.table}"

    def statements(self, beside: str, *, source: str, changed: tuple[str, ...]) -> list[str]:
        """Fill a table of the same name in the database `beside` with the partitions concerned.

        `source`: the counted table, as it is to be counted. `changed`: tables that hold, together,
        every row of it that came or went.
        """
        new, minutes = f"`{beside}`.{self.table}", f"`{beside}`.minutes_of_{self.table}"
        columns, concerned = ", ".join(self.columns), f"(SELECT minute FROM {minutes})"  # noqa: S608 - names of ours
        partitions = f"SELECT DISTINCT _partition_id FROM {self.live} WHERE minute IN {concerned}"  # noqa: S608 - names of ours
        kept = (
            f"SELECT {columns} FROM {self.live}"  # noqa: S608 - names of ours
            f" WHERE _partition_id IN ({partitions}) AND minute NOT IN {concerned}"
        )
        anew = f"SELECT {columns} FROM ({self._counting(source)}) WHERE minute IN {concerned}"  # noqa: S608 - names of ours
        return [
            f"DROP TABLE IF EXISTS {minutes} SYNC",
            f"CREATE TABLE {minutes} (minute DateTime('UTC')) ENGINE = MergeTree ORDER BY minute",
            *(
                f"INSERT INTO {minutes} SELECT DISTINCT minute FROM ({self._counting(table)})"  # noqa: S608 - names of ours
                for table in changed
            ),
            f"DROP TABLE IF EXISTS {new} SYNC",
            f"CREATE TABLE {new} AS {self.live}",
            f"INSERT INTO {new} ({columns}) {kept}",
            f"INSERT INTO {new} ({columns}) {anew} SETTINGS final = 1",
        ]

    def partitions(self, beside: str) -> str:
        """A query for the partitions concerned: id, and 1 where the new table has rows of it."""
        minutes = f"`{beside}`.minutes_of_{self.table}"
        filled = f"SELECT DISTINCT _partition_id FROM `{beside}`.{self.table}"  # noqa: S608 - names of ours
        return (
            f"SELECT DISTINCT _partition_id AS id, id IN ({filled}) FROM {self.live}"  # noqa: S608 - names of ours
            f" WHERE minute IN (SELECT minute FROM {minutes})"
            f" UNION DISTINCT SELECT _partition_id, 1 FROM ({filled})"
        )

    def _counting(self, table: str) -> str:
        return f"{self.before}{table}{self.after}"


def read_rollups(client: Client, database: str, table: str) -> list[Rollup]:
    """The materialized views that count a table. Raises ClickHouseError."""
    found = []
    counted = re.compile(rf"(?<=\bFROM )`?{re.escape(database)}`?\.`?{re.escape(table)}`?(?!\w)")
    for name, select, target in client.query(_VIEWS, {"database": database}).result_rows:
        parts = counted.split(select)
        if len(parts) != 2:
            continue  # it counts another table
        columns = client.query(_COLUMNS, {"database": database, "view": name})
        found.append(
            Rollup(
                database=database,
                table=target,
                columns=tuple(str(row[0]) for row in columns.result_rows),
                before=parts[0],
                after=parts[1],
            )
        )
    return found
