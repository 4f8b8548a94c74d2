"""Reading changelogs back in batches: Faust takes 75 µs a record, a table here one or two.

A batch goes into its table at once, and only its last record through Faust's own queue, whose
reader then finds that recovery has nothing left to read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import faust
from faust.types import TP

from streams.records import FetchedRecord


@runtime_checkable
class BatchRecovering(Protocol):
    """A table that takes its changelog in batches."""

    def recover(self, partition: int, records: Sequence[FetchedRecord]) -> None:
        """Take consecutive records of the changelog."""


class Recovered:
    """Hands changelog records to the tables that they belong to."""

    def __init__(self, app: faust.App) -> None:
        self._app = app

    def apply(self, tp: TP, records: Sequence[FetchedRecord]) -> Sequence[FetchedRecord]:
        """Returns those that Faust must see itself."""
        table: Any = self._app.tables._changelogs.get(tp.topic)
        if not isinstance(table, BatchRecovering):
            return records
        recovery = self._app.tables.recovery
        if tp not in recovery.active_tps:
            return ()
        seen = recovery.active_offsets.get(tp)
        new = records if seen is None else [r for r in records if r.offset > seen]
        if new:
            table.recover(tp.partition, new)
            recovery.active_offsets[tp] = new[-1].offset
        return records[-1:]
