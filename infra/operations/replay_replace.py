"""Builds one period of a table anew from the log, beside the live one, and swaps it in.

For rows that are wrong rather than missing: what the log still has of a topic replaces what is
stored of it; rows of other topics, and older ones than the log, are taken over as they are. The
swap is one statement. Rows that the sink stored meanwhile are brought back by a replay afterwards,
which adds what is missing and doubles nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import Final

import msgspec
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from agents.analytics.intakes import stored_topics, table_of, topic_column_of
from agents.analytics.replay import ReplayState, begin, replay_topic
from agents.analytics.store import Store, quoted
from agents.analytics.windows import Span, Window
from infra.operations.log_access import SINK_GROUP
from schemas.errors import PlayheadError
from schemas.secrets import SecretBytes
from streams.administering import administering, committed_offsets
from streams.broker import Broker

_PERIOD: Final = re.compile(r"\d{4}-\d{2}(-\d{2})?")


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


class Twin:
    """The table beside: the same name in a database of its own."""

    def __init__(
        self, client: Client, database: str, table: Table, period: str, *, name: str
    ) -> None:
        """`name`: the replay's own, so that two do not meet."""
        self._client = client
        self.database = f"{database}_replay_{name}"
        """Holds nothing else."""
        self._live = f"`{database}`.{table.name}"
        self._database = database
        self._table = table
        self._partition_id = partition_id(period)

    async def is_there(self) -> bool:
        """Whether an earlier process has built it."""
        found = await asyncio.to_thread(self._client.command, f"EXISTS DATABASE `{self.database}`")
        return bool(found)

    async def build(self, spans: Iterable[Span], topic_name: str) -> int:
        """Make it anew, with every row of the period that the spans do not hold; their number."""
        await self.drop()
        await self._run(f"CREATE DATABASE `{self.database}`")
        for name in (self._table.name, "set_aside_raw"):
            await self._run(f"CREATE TABLE `{self.database}`.{name} AS `{self._database}`.{name}")
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

    async def swap(self) -> None:
        """The live table's period is this one's from now on."""
        await self._run(
            f"ALTER TABLE {self._live} REPLACE PARTITION ID '{self._partition_id}'"
            f" FROM {self._twin}"
        )

    async def drop(self) -> None:
        """Leave nothing."""
        await self._run(f"DROP DATABASE IF EXISTS `{self.database}` SYNC")

    @property
    def _twin(self) -> str:
        return f"`{self.database}`.{self._table.name}"

    async def _count(self, table: str) -> int:
        query = f"SELECT count() FROM {table} FINAL WHERE _partition_id = '{self._partition_id}'"  # noqa: S608 - names of ours
        try:
            found = await asyncio.to_thread(self._client.query, query)
        except ClickHouseError as error:
            raise _said(error) from error
        return int(found.result_rows[0][0])

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
