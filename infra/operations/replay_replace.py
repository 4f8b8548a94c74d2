"""Builds one period of a table anew from the log, beside the live one, and swaps it in.

For rows that are wrong rather than missing: what the log still has of a topic replaces what is
stored of it; rows of other topics, and older ones than the log, are taken over as they are. While
it is swapped in, the table takes no inserts and the sink waits: what it stored meanwhile is brought
into the twin before, and the roll-ups are counted anew after (`replay_rollups.py`).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from agents.analytics.intakes import stored_topics, table_of, topic_column_of
from agents.analytics.replay import ReplayState, begin, replay_topic
from agents.analytics.store import Store, quoted
from agents.analytics.windows import Span, Window
from infra.operations.log_access import SINK_GROUP
from infra.operations.replay_rollups import Rollup, read_rollups
from schemas.errors import PlayheadError
from schemas.secrets import SecretBytes
from streams.administering import administering, committed_offsets
from streams.broker import Broker

_PERIOD: Final = re.compile(r"\d{4}-\d{2}(-\d{2})?")
CLOSED_BY: Final = "min_free_disk_bytes_to_perform_insert"
CLOSED_BYTES: Final = 1 << 62
"""More than any disk has free."""
_CLOSED: Final = """
SELECT name FROM system.tables
WHERE database = {database:String} AND position(engine_full, {setting:String}) > 0
"""
_INSERTS: Final = """
SELECT count() FROM system.processes
WHERE query_kind = 'Insert' AND position(query, {table:String}) > 0
"""


class ReplaceRefusedError(PlayheadError):
    """The period is not swapped; the message says why. The live table is as it was."""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Where the rows of a topic are."""

    name: str
    topic_column: str
    topics: tuple[str, ...]
    """All that are stored there."""


class Replaced(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of the period."""

    table: str
    period: str
    before: int
    after: int
    taken_over: int
    """Of other topics, or older than the log."""
    is_swapped: bool
    brought_back: int = 0
    """Stored by the sink while the twin was built."""
    closed_ms: int = 0
    """How long the table took no inserts."""


def partition_id(period: str) -> str:
    """`2026-11-22` or `2026-11` as ClickHouse names the partition. Raises ReplaceRefusedError."""
    if _PERIOD.fullmatch(period) is None:
        raise ReplaceRefusedError(f"{period!r} is no period: 2026-11-22 for events, else 2026-11")
    return period.replace("-", "")


def table_shared_by(topic_name: str) -> Table:
    """The table of a stored topic, and who else is stored there."""
    name = table_of(topic_name)
    return Table(
        name=name,
        topic_column=topic_column_of(topic_name),
        topics=tuple(other for other in stored_topics() if table_of(other) == name),
    )


def closed_tables(client: Client, database: str) -> list[str]:
    """Those that take no inserts while a period of them is swapped. Raises ClickHouseError."""
    asked = {"database": database, "setting": f"{CLOSED_BY} = {CLOSED_BYTES}"}
    return [str(name) for (name,) in client.query(_CLOSED, asked).result_rows]


class Twin:
    """The table beside: the same name in a database of its own, dropped with all that is in it."""

    def __init__(
        self, client: Client, database: str, table: Table, period: str, *, name: str
    ) -> None:
        """`name`: the replay's own, so that two do not meet."""
        self._client = client
        self.database = f"{database}_replay_{name}"
        self._live = f"`{database}`.{table.name}"
        self._database = database
        self._table = table
        self._partition_id = partition_id(period)
        self.closed_ms = 0
        """How long the live table took no inserts."""

    async def is_there(self) -> bool:
        """Whether an earlier process has built it."""
        return bool((await self._ask(f"EXISTS DATABASE `{self.database}`"))[0][0])

    async def build(self, spans: Iterable[Span], topic_name: str) -> int:
        """Make it anew, with every row of the period that the spans do not hold; their number."""
        await self.drop()
        await self._run(f"CREATE DATABASE `{self.database}`")
        for name in (self._table.name, "set_aside_raw"):
            await self._run(f"CREATE TABLE `{self.database}`.{name} AS `{self._database}`.{name}")
            await self._run(f"ALTER TABLE `{self.database}`.{name} RESET SETTING {CLOSED_BY}")
        covered = " OR ".join(
            f"(kafka_partition = {s.partition} AND kafka_offset >= {s.start}"
            f" AND kafka_offset < {s.end})"
            for s in spans
        )
        await self._run(
            f"INSERT INTO {self._twin} SELECT * FROM {self._live}"  # noqa: S608 - quoted, numbers
            f" WHERE _partition_id = '{self._partition_id}'"
            f" AND NOT ({self._table.topic_column} = {quoted(topic_name)} AND ({covered or '0'}))"
        )
        return await self._count(self._twin)

    async def count_live(self) -> int:
        """Rows of the period as they are; those that merges would remove are not counted."""
        return await self._count(self._live)

    async def count(self) -> int:
        """The same of this one."""
        return await self._count(self._twin)

    @asynccontextmanager
    async def closed(self) -> AsyncIterator[None]:
        """The live table takes no inserts: they are refused as by a full disk, and tried again.

        Killed meanwhile it stays closed until the same replay is done again; `playhead doctor`
        tells.
        """
        await self._run(f"ALTER TABLE {self._live} MODIFY SETTING {CLOSED_BY} = {CLOSED_BYTES}")
        since_s = time.monotonic()
        try:
            while (await self._ask(_INSERTS, table=self._table.name))[0][0]:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.02)
            yield
        finally:
            await self._run(f"ALTER TABLE {self._live} RESET SETTING {CLOSED_BY}")
            self.closed_ms = round((time.monotonic() - since_s) * 1000)

    async def swap(self) -> None:
        """The live table's period is this one's from now on, and its roll-ups count it so.

        Only while it is closed. Killed at any point it may be done again.
        """
        old = f"`{self.database}`.replaced"
        await self._run(f"CREATE TABLE IF NOT EXISTS {old} AS {self._live}")
        # Hard links, no copy. The second time it adds what the first has swapped in: too much is
        # counted anew then, nothing too little.
        await self._run(
            f"ALTER TABLE {old} ATTACH PARTITION ID '{self._partition_id}' FROM {self._live}"
        )
        await self._run(
            f"ALTER TABLE {self._live} REPLACE PARTITION ID '{self._partition_id}'"
            f" FROM {self._twin}"
        )
        rollups = await asyncio.to_thread(
            read_rollups, self._client, self._database, self._table.name
        )
        for rollup in rollups:
            await self._renew(rollup, changed=(old, self._twin))

    async def _renew(self, rollup: Rollup, changed: tuple[str, ...]) -> None:
        for statement in rollup.statements(self.database, source=self._live, changed=changed):
            await self._run(statement)
        for partition_id, is_filled in await self._ask(rollup.partitions(self.database)):
            how = (
                f"REPLACE PARTITION ID '{partition_id}' FROM `{self.database}`.{rollup.table}"
                if is_filled
                else f"DROP PARTITION ID '{partition_id}'"
            )
            await self._run(f"ALTER TABLE {rollup.live} {how}")

    async def drop(self) -> None:
        """Leave nothing."""
        await self._run(f"DROP DATABASE IF EXISTS `{self.database}` SYNC")

    @property
    def _twin(self) -> str:
        return f"`{self.database}`.{self._table.name}"

    async def _count(self, table: str) -> int:
        query = f"SELECT count() FROM {table} FINAL WHERE _partition_id = '{self._partition_id}'"  # noqa: S608 - names of ours
        return int((await self._ask(query))[0][0])

    async def _ask(self, query: str, **parameters: str) -> Sequence[Sequence[Any]]:
        try:
            return (await asyncio.to_thread(self._client.query, query, parameters)).result_rows
        except ClickHouseError as error:
            raise _said(error) from error

    async def _run(self, statement: str) -> None:
        try:
            await asyncio.to_thread(self._client.command, statement)
        except ClickHouseError as error:
            raise _said(error) from error


def _said(error: ClickHouseError) -> ReplaceRefusedError:
    return ReplaceRefusedError(f"ClickHouse: {str(error).splitlines()[0][:300]}")


async def stored_until(broker: Broker, topics: Iterable[str]) -> dict[str, dict[int, int]]:
    """By topic and partition, the offset before which the sink has stored everything."""
    physical = {broker.physical(name): name for name in topics}
    async with administering(broker) as admin:
        committed = await committed_offsets(admin, broker, SINK_GROUP)
    found: dict[str, dict[int, int]] = {name: {} for name in physical.values()}
    for place, offset in committed.items():
        if place.topic in physical:
            found[physical[place.topic]][place.partition] = offset
    return found


async def bring_back(
    broker: Broker,
    store: Store,
    stored: dict[str, dict[int, int]],
    state_key: SecretBytes,
) -> int:
    """Replay what the sink may have stored since then; how many rows were missing."""
    added = 0
    for topic_name, offsets in stored.items():
        state = await begin(broker, topic_name, Window(), group=SINK_GROUP)
        left = tuple(
            msgspec.structs.replace(span, start=max(span.start, offsets.get(span.partition, 0)))
            for span in state.left
            if span.end > offsets.get(span.partition, 0)
        )
        if not left:
            continue
        progress = await replay_topic(
            broker,
            store,
            topic_name,
            ReplayState(left=left, progress=state.progress),
            state_key=state_key,
            dry_run=False,
            keep=lambda _: None,
        )
        added += progress.added
    return added
