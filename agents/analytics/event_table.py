"""A chunk of playback events as rows of `events_raw`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from agents.analytics.chunks import Chunk
from agents.analytics.event_columns import INSTANT, Events, EventTabulator
from agents.analytics.event_rows import EventReader
from agents.analytics.identities import Identities
from agents.analytics.moments import storable_ms
from agents.analytics.native import Column, Numbers, Positions, Words, block_bytes
from agents.analytics.wire import read_cells
from schemas.errors import InvalidMessageError
from streams.reader import RawRecord


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


@dataclass(slots=True)
class EventTable:
    """The readable records of a chunk. `positions`: where in the chunk the rows' records stand."""

    chunk: Chunk
    positions: Positions
    events: Events | None
    """None where nothing could be read."""
    unreadable: Sequence[tuple[RawRecord, InvalidMessageError]]

    def rows(self) -> EventRows:
        """All of them as rows, duplicates too."""
        assert self.events is not None
        events, chunk = self.events, self.chunk
        records = [chunk.records[position] for position in self.positions.tolist()]
        offsets = np.array([record.offset for record in records], np.int64)
        times_ms = np.array([record.timestamp for record in records], np.int64)
        nothing = np.zeros(len(records), np.uint32)
        columns = events.sent | {
            "received_at": Numbers(INSTANT, storable_ms(events.received_ms)),
            "payload_hash": Numbers("UInt64", events.hashes),
            "topic": Words([chunk.topic], nothing),
            "kafka_partition": Numbers("UInt16", (nothing + chunk.partition).astype("<u2")),
            "kafka_offset": Numbers("UInt64", offsets),
            "kafka_time": Numbers(INSTANT, storable_ms(times_ms)),
        }
        return EventRows(offsets, columns)

    def identities(self) -> Identities:
        """Who they are."""
        assert self.events is not None
        events = self.events
        return Identities(
            session_names=events.sessions,
            sessions=events.session_codes,
            source_names=events.sources.words,
            sources=events.sources.codes,
            sequences=events.sequences,
        )


class EventTableReader:
    """Reads chunks: by columns what is as this version writes it, and the rest one by one."""

    def __init__(self) -> None:
        self._tabulator = EventTabulator()
        self._reader = EventReader()

    def read(self, chunk: Chunk) -> EventTable:
        """The table of a chunk; what becomes no row is told with the reason."""
        values = [record.value for record in chunk.records]
        timestamps_ms = np.array([record.timestamp for record in chunk.records], np.int64)
        instead: dict[int, Any] = {}
        unreadable: list[tuple[RawRecord, InvalidMessageError]] = []
        while True:
            cells = read_cells(values, instead)
            positions = np.array(cells.positions, np.intp)
            events, strange = None, cells.unread
            if cells.positions:
                events = self._tabulator.tabulate(cells.columns, timestamps_ms[positions])
                strange += positions[np.flatnonzero(events.strange)].tolist()
            unjudged = [position for position in strange if position not in instead]
            if not unjudged:
                return EventTable(chunk, positions, events, unreadable)
            for position in sorted(unjudged):
                raw = chunk.placed(position)
                try:
                    instead[position] = self._reader.read(raw)
                except InvalidMessageError as error:
                    instead[position] = None
                    unreadable.append((raw, error))
