"""What becomes of a chunk's records: rows, records set aside, dead letters.

One intake per kind of table. `stored` are offsets that an earlier life of the sink has inserted
already: they are rows again, and no duplicates of themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Protocol

from agents.analytics.chunks import Chunk
from agents.analytics.decision_rows import DecisionReader
from agents.analytics.event_rows import EventReader, EventRow, seconds
from agents.analytics.identities import SeenIdentities
from agents.analytics.summary_rows import SummaryRow
from agents.analytics.writer import Line, encode_line
from schemas.errors import InvalidMessageError
from streams.reader import RawRecord


@dataclass(slots=True)
class Prepared:
    """A chunk, sorted out."""

    lines: list[Line] = field(default_factory=list)
    set_aside: list[Line] = field(default_factory=list)
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


class Intake(Protocol):
    """Sorts out the chunks of one partition."""

    table: str
    topic_column: str

    async def prepare(self, chunk: Chunk[RawRecord], stored: Collection[int]) -> Prepared:
        """Every record of the chunk, in one of the three places."""


class PlainIntake:
    """Every readable record is a row; its table keeps the newest of a key."""

    def __init__(
        self, table: str, read: Callable[[RawRecord], SummaryRow], *, topic_column: str = "topic"
    ) -> None:
        self.table = table
        self.topic_column = topic_column
        self._read = read

    async def prepare(self, chunk: Chunk[RawRecord], stored: Collection[int]) -> Prepared:
        """Rows, and what cannot be read."""
        prepared = Prepared()
        for _, row in _readable(chunk, self._read, prepared):
            prepared.lines.append(encode_line(row.offset, row.columns))
        return prepared


class DecisionIntake:
    """A decision that is published again is one row."""

    table = "decisions_raw"
    topic_column = "topic"

    def __init__(self, reader: DecisionReader, knowledge: Knowledge) -> None:
        self._reader = reader
        self._knowledge = knowledge

    async def prepare(self, chunk: Chunk[RawRecord], stored: Collection[int]) -> Prepared:
        """Rows; repetitions of what is stored are set aside."""
        prepared = Prepared()
        rows = _readable(chunk, self._reader.read, prepared)
        fresh = {row.identity for raw, row in rows if raw.offset not in stored}
        known = await self._knowledge.known_decisions(chunk.topic, fresh) if fresh else set()
        for raw, row in rows:
            if raw.offset not in stored and row.identity in known:
                prepared.set_aside.append(_aside("duplicate", chunk.topic, raw, None))
                continue
            known.add(row.identity)
            prepared.lines.append(encode_line(row.offset, row.columns))
        return prepared


class EventIntake:
    """An event is stored once, however often and wherever in the log it comes."""

    table = "events_raw"
    topic_column = "topic"

    def __init__(
        self,
        reader: EventReader,
        seen: Callable[[], SeenIdentities],
        knowledge: Knowledge,
        *,
        is_replay: bool,
    ) -> None:
        self._reader = reader
        self._seen = seen
        self._knowledge = knowledge
        self._is_replay = is_replay

    async def prepare(self, chunk: Chunk[RawRecord], stored: Collection[int]) -> Prepared:
        """Rows; re-sends and conflicts are set aside."""
        prepared = Prepared()
        seen = self._seen()
        if not self._is_replay:  # where the log goes on behind, ClickHouse is always asked
            seen.begin(chunk.records[0].timestamp)
        rows = list(_readable(chunk, lambda raw: self._reader.read(chunk.topic, raw), prepared))
        await self._learn(seen, {row.session_id for _, row in rows})
        again: list[tuple[RawRecord, EventRow]] = []
        hashes: dict[tuple[str, str, int], int] = {}
        for raw, row in rows:
            is_new = seen.add(row.session_id, row.source, row.sequence)
            if not is_new and raw.offset not in stored:
                again.append((raw, row))
                continue
            hashes[_identity(row)] = row.payload_hash
            prepared.lines.append(encode_line(row.offset, row.columns))
        seen.shrink()
        await self._set_aside(chunk.topic, again, hashes, prepared)
        return prepared

    async def _learn(self, seen: SeenIdentities, sessions: set[str]) -> None:
        asked = {session for session in sessions if seen.must_ask(session)}
        if not asked:
            return
        found = await self._knowledge.stored_sequences(asked)
        for session in asked:
            if seen.must_ask(session):  # the other topic's chunk may have asked meanwhile
                seen.learn(session, found[session])

    async def _set_aside(
        self,
        topic: str,
        again: list[tuple[RawRecord, EventRow]],
        hashes: dict[tuple[str, str, int], int],
        prepared: Prepared,
    ) -> None:
        unknown = {_identity(row) for _, row in again} - hashes.keys()
        if unknown:
            hashes |= await self._knowledge.payload_hashes(unknown)
        for raw, row in again:
            first = hashes.get(_identity(row), row.payload_hash)
            kind = "duplicate" if first == row.payload_hash else "conflict"
            prepared.set_aside.append(_aside(kind, topic, raw, row))


def _readable(
    chunk: Chunk[RawRecord], read: Callable[[RawRecord], Any], prepared: Prepared
) -> list[tuple[RawRecord, Any]]:
    rows: list[tuple[RawRecord, Any]] = []
    for raw in chunk.records:
        try:
            rows.append((raw, read(raw)))
        except InvalidMessageError as error:
            prepared.unreadable.append((raw, error))
    return rows


def _identity(row: EventRow) -> tuple[str, str, int]:
    return (row.session_id, row.source, row.sequence)


def _aside(kind: str, topic: str, raw: RawRecord, row: EventRow | None) -> Line:
    columns: dict[str, Any] = {
        "kind": kind,
        "topic": topic,
        "kafka_partition": raw.partition,
        "kafka_offset": raw.offset,
        "kafka_time": seconds(raw.timestamp),
        "received_at": seconds(raw.timestamp if row is None else row.received_at_ms),
    }
    if row is not None:
        columns |= {
            "session_id": row.session_id,
            "source": row.source,
            "sequence": row.sequence,
        }
    if kind == "conflict":
        columns["payload"] = (raw.value or b"").decode("utf-8", "replace")
    return encode_line(raw.offset, columns)
