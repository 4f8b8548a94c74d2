"""The table as Faust knows it: assigned with its source's partitions, recovered before they flow.

Faust brings the assignment, the changelog's position and the order of recovery; reading, writing
and counting once are ours. Values are changed only through `apply`, whose key is the record's own
and whose partition is the record's own: a table keyed unlike its stream cannot be recovered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypeVar

import faust
from faust.tables.table import Table
from faust.types import TP

from streams.records import FetchedRecord, Record
from streams.tables.changelog import KafkaChangelog
from streams.tables.state import Change, PartitionState, Rowing
from streams.tables.stores import OpenStore
from streams.topic import Family, Topic

V = TypeVar("V")


def changelog_of(worker: str, table: str, family: Family) -> Topic:
    """The registry's entry for a table's changelog, named as Faust names it."""
    return Topic(
        name=f"{worker}-{table}-changelog",
        carries=f"the state of the table {table}: what its workers go on from",
        key="as its source",
        value=bytes,
        family=family,
        writer=worker,
        readers=(worker,),
        retention_ms=None,
        is_compacted=True,
    )


class ChunkTable(Table, Generic[V]):
    """State by key, for the partitions that this worker has."""

    def __init__(
        self,
        app: faust.App,
        *,
        name: str,
        value_type: Any,
        sources: Sequence[Topic],
        open_store: OpenStore,
        changelog: KafkaChangelog,
    ) -> None:
        """`sources` only ever grows at its end: their order is in what is stored."""
        assert len({topic.partitions for topic in sources}) == 1, "sources share their partitions"
        self._sources = {topic.name: index for index, topic in enumerate(sources)}
        self._rowing: Rowing[V] = Rowing(value_type, len(sources))
        self._open_store = open_store
        self._changelog_writer = changelog
        self._partitions: dict[int, PartitionState[V]] = {}
        super().__init__(
            app,
            name=name,
            partitions=sources[0].partitions,
            key_type=bytes,  # or Faust would decode them
            value_type=bytes,
        )
        app.tables.add(self)

    # -- for agents ----------------------------------------------------------

    def apply(self, record: Record[Any], change: Change[V]) -> bool:
        """Change the value of the record's key; False: the record was applied before."""
        return self.partition(record.partition).apply(
            self._sources[record.topic], record.offset, record.key, change
        )

    def partition(self, partition: int) -> PartitionState[V]:
        """The state of a partition that this worker has."""
        state = self._partitions.get(partition)
        if state is None:
            state = self._partitions[partition] = PartitionState(
                partition, self._open_store(partition), self._changelog_writer, self._rowing
            )
        return state

    # -- for recovery ----------------------------------------------------------

    def recover(self, partition: int, records: Sequence[FetchedRecord]) -> None:
        """Take consecutive records of the changelog."""
        rows = ((record.key or b"", record.value) for record in records)
        self.partition(partition).recover(rows, records[-1].offset)

    def persisted_offset(self, tp: TP) -> int | None:
        """Where recovery of a partition goes on from."""
        return self.partition(tp.partition).changelog_offset

    def apply_changelog_batch(self, batch: Iterable[Any]) -> None:
        """Faust's own way in: `recover` has taken these already."""

    # -- Faust's calls in the life of a table ------------------------------------

    async def on_start(self) -> None:
        """Open the way to the changelog, which exists."""
        await self._changelog_writer.start()

    async def on_stop(self) -> None:
        """Let go of what lies on disk."""
        self._close(list(self._partitions))
        await self._changelog_writer.stop()

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Whatever is not in the changelog comes again, here or elsewhere."""
        for state in self._partitions.values():
            state.reset()

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Begin with what was recovered, and let go of the partitions that others have now."""
        kept = {tp.partition for tp in active_tps | standby_tps}
        self._close([partition for partition in self._partitions if partition not in kept])
        for state in self._partitions.values():
            state.reset()

    async def need_active_standby_for(self, tp: TP) -> bool:
        """There are no standbys."""
        return False

    def reset_state(self) -> None:
        """Faust's command for it is not used."""
        raise NotImplementedError

    def _close(self, partitions: Iterable[int]) -> None:
        for partition in partitions:
            self._partitions.pop(partition).close()
