"""A chunk of playback events as rows of `events_raw`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from agents.analytics.chunks import Chunk
from agents.analytics.event_columns import EventColumns, Events
from agents.analytics.event_rows import EventReader
from agents.analytics.native import Column, Numbers, Positions, Words, block_bytes
from agents.analytics.wire import read_wires
from schemas.errors import InvalidMessageError
from streams.reader import LogRecord, RawRecord

BLOCK_ROWS: Final = 512
"""What fits into the processor's cache, in all the forms that it takes."""


class EventRows:
    """Rows as columns."""

    def __init__(self, offsets: npt.NDArray[np.int64], columns: dict[str, Column]) -> None:
        self._offsets = offsets
        self._columns = columns
        self.offsets: Sequence[int] = offsets.tolist()

    @property
    def columns(self) -> dict[str, Column]:
        """By name; those in which no row says anything are left out."""
        return self._columns

    @property
    def shape(self) -> str:
        """The columns that are sent: the others have their defaults."""
        return f"({', '.join(self._columns)}) FORMAT Native"

    def part(self, positions: Sequence[int]) -> EventRows:
        """Some of the rows."""
        return self.take(np.array(positions, np.intp))

    def take(self, positions: Positions) -> EventRows:
        """Some of the rows."""
        columns = {name: column.take(positions) for name, column in self._columns.items()}
        return EventRows(self._offsets[positions], columns)

    def body(self) -> bytes:
        """One block."""
        return block_bytes(self._columns, len(self.offsets))


@dataclass(frozen=True, slots=True)
class EventTable:
    """The records of a chunk, sorted out."""

    chunk: Chunk
    events: Events | None
    """None where nothing could be read."""
    unreadable: Sequence[tuple[RawRecord, InvalidMessageError]]

    def rows(self) -> EventRows:
        """All of them as rows, duplicates too."""
        assert self.events is not None
        offsets = self.events.offsets
        nothing = np.zeros(len(offsets), np.uint32)
        columns = self.events.sent | {
            "topic": Words([self.chunk.topic], nothing),
            "kafka_partition": Numbers("UInt16", (nothing + self.chunk.partition).astype("<u2")),
        }
        return EventRows(offsets, columns)


class EventTableReader:
    """Reads chunks: by blocks what is as this version writes it, and the rest one by one."""

    def __init__(self) -> None:
        self._reader = EventReader()

    def read(self, chunk: Chunk) -> EventTable:
        """The table of a chunk; what becomes no row is told with the reason."""
        columns, unreadable = EventColumns(), list[tuple[RawRecord, InvalidMessageError]]()
        records = chunk.records()
        while block := list(islice(records, BLOCK_ROWS)):
            try:
                columns.add(block, read_wires([record.value for record in block]))
            except InvalidMessageError:
                unreadable += self._read_each(chunk, block, columns)
        return EventTable(chunk, columns.events() if columns.count else None, unreadable)

    def _read_each(
        self, chunk: Chunk, block: Sequence[LogRecord], columns: EventColumns
    ) -> Iterator[tuple[RawRecord, InvalidMessageError]]:
        records, wires = list[LogRecord](), list[Any]()
        for record in block:
            try:
                wires.append(self._reader.read(record))
            except InvalidMessageError as error:
                yield chunk.placed(record), error
            else:
                records.append(record)
        if records:
            columns.add(records, wires)
