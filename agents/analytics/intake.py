"""What becomes of a chunk's records: rows, records set aside, dead letters.

One intake per kind of table. What an earlier life of the sink has inserted already is rows again,
and no duplicate of itself. Its last insert may still be under way, so an intake asks for stored
offsets after everything else: whatever it learned of itself by identity, it then knows by offset.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from agents.analytics.chunks import Chunk
from agents.analytics.decision_rows import DecisionReader, DecisionRow
from agents.analytics.moments import seconds
from agents.analytics.summary_rows import SummaryRow
from agents.analytics.void_marks import LOOKBACK_OFFSETS, StoredDecision, VoidMarks
from agents.analytics.writer import Line, Lines, Place, Rows, encode_line
from schemas.errors import InvalidMessageError
from streams.reader import RawRecord

AskStored = Callable[[], Awaitable[Collection[int]]]
"""The offsets of the chunk that are rows already."""


@dataclass(slots=True)
class Prepared:
    """A chunk, sorted out."""

    rows: Rows = field(default_factory=Lines)
    set_aside: Rows = field(default_factory=Lines)
    unreadable: list[tuple[RawRecord, InvalidMessageError]] = field(default_factory=list)


class Knowledge(Protocol):
    """What an intake asks of what is stored; waits while ClickHouse is away."""

    async def stored_sequences(
        self, sessions: Collection[str]
    ) -> dict[str, dict[str, list[tuple[int, int]]]]:
        """The intervals of stored sequence numbers, by session and source."""

    async def payload_hashes(
        self, identities: Collection[tuple[str, str, int]]
    ) -> dict[tuple[str, str, int], int]:
        """The hash of the payload that counts, of stored identities."""

    async def known_decisions(self, topic: str, identities: Collection[str]) -> set[str]:
        """Those of the identities that are stored."""

    async def decisions_before(
        self, topic: str, partition: int, offset: int, *, count_max: int
    ) -> list[StoredDecision]:
        """The rows of the last `count_max` offsets before this one, in order."""


class Intake(Protocol):
    """Sorts out the chunks of one partition."""

    table: str
    topic_column: str

    async def prepare(self, chunk: Chunk, ask_stored: AskStored) -> Prepared:
        """Every record of the chunk, in one of the three places. Asks once, last."""


def place_of(chunk: Chunk, intake: Intake) -> Place:
    """Where the chunk's rows go."""
    return Place(
        table=intake.table,
        topic=chunk.topic,
        partition=chunk.partition,
        first=chunk.first,
        last=chunk.last,
        topic_column=intake.topic_column,
    )


def aside_of(place: Place) -> Place:
    """Where those of the same chunk go that are set aside."""
    return msgspec.structs.replace(place, table="set_aside_raw", topic_column="topic")


class PlainIntake:
    """Every readable record is a row; its table keeps the newest of a key."""

    def __init__(
        self, table: str, read: Callable[[RawRecord], SummaryRow], *, topic_column: str = "topic"
    ) -> None:
        self.table = table
        self.topic_column = topic_column
        self._read = read

    async def prepare(self, chunk: Chunk, ask_stored: AskStored) -> Prepared:
        """Rows, and what cannot be read."""
        await ask_stored()
        prepared = Prepared()
        rows = _readable(chunk, self._read, prepared)
        prepared.rows = Lines([encode_line(row.offset, row.columns) for _, row in rows])
        return prepared


class DecisionIntake:
    """A decision that is published again is one row; of a chain, void ones are marked."""

    table = "decisions_raw"
    topic_column = "topic"

    def __init__(
        self, reader: DecisionReader, knowledge: Knowledge, *, is_chained: bool = False
    ) -> None:
        self._reader = reader
        self._knowledge = knowledge
        self._marks = VoidMarks() if is_chained else None

    async def prepare(self, chunk: Chunk, ask_stored: AskStored) -> Prepared:
        """Rows; repetitions of what is stored are set aside."""
        prepared = Prepared()
        rows = _readable(chunk, self._reader.read, prepared)
        if self._marks is not None:
            await self._mark(self._marks, chunk, [row for _, row in rows])
        identities = {row.identity for _, row in rows}
        known = await self._knowledge.known_decisions(chunk.topic, identities) if rows else set()
        stored = await ask_stored()
        lines, set_aside = list[Line](), list[Line]()
        for raw, row in rows:
            if raw.offset not in stored and row.identity in known:
                set_aside.append(aside_line("duplicate", chunk.topic, raw))
                continue
            known.add(row.identity)
            lines.append(encode_line(row.offset, row.columns))
        prepared.rows, prepared.set_aside = Lines(lines), Lines(set_aside)
        return prepared

    async def _mark(self, marks: VoidMarks, chunk: Chunk, rows: Sequence[DecisionRow]) -> None:
        if not marks.is_begun:
            before = await self._knowledge.decisions_before(
                chunk.topic, chunk.partition, chunk.first, count_max=LOOKBACK_OFFSETS
            )
            marks.begin(before)
        marks.mark(rows)


def _readable(
    chunk: Chunk, read: Callable[[RawRecord], Any], prepared: Prepared
) -> list[tuple[RawRecord, Any]]:
    rows: list[tuple[RawRecord, Any]] = []
    for record in chunk.records():
        raw = chunk.placed(record)
        try:
            rows.append((raw, read(raw)))
        except InvalidMessageError as error:
            prepared.unreadable.append((raw, error))
    return rows


def aside_line(
    kind: str, topic: str, raw: RawRecord, received_at_ms: int | None = None, **identity: Any
) -> Line:
    """A record that becomes no row, as a row of `set_aside_raw`."""
    columns: dict[str, Any] = {
        "kind": kind,
        "topic": topic,
        "kafka_partition": raw.partition,
        "kafka_offset": raw.offset,
        "kafka_time": seconds(raw.timestamp),
        "received_at": seconds(raw.timestamp if received_at_ms is None else received_at_ms),
        **identity,
    }
    if kind == "conflict":
        columns["payload"] = (raw.value or b"").decode("utf-8", "replace")
    return encode_line(raw.offset, columns)
