"""Playback events, each stored once, however often and wherever in the log it comes."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from agents.analytics.chunks import Chunk
from agents.analytics.event_table import EventTable, EventTableReader
from agents.analytics.identities import Identities, SeenIdentities
from agents.analytics.intake import AskStored, Knowledge, Prepared, aside_line
from agents.analytics.writer import Line, Lines

Identity = tuple[str, str, int]


class EventIntake:
    """Sorts out the chunks of one partition of a playback topic."""

    table = "events_raw"
    topic_column = "topic"

    def __init__(
        self,
        reader: EventTableReader,
        seen: Callable[[], SeenIdentities],
        knowledge: Knowledge,
    ) -> None:
        self._reader = reader
        self._seen = seen
        self._knowledge = knowledge

    async def prepare(self, chunk: Chunk, ask_stored: AskStored) -> Prepared:
        """Rows; re-sends and conflicts are set aside."""
        seen = self._seen()
        table = self._reader.read(chunk)
        prepared = Prepared(unreadable=list(table.unreadable))
        if table.events is not None:
            await self._learn(seen, table.events.identities.session_names, chunk.newest_at_ms)
        stored = await ask_stored()
        if table.events is None:
            return prepared
        is_kept = seen.add(table.events.identities)
        seen.shrink()
        rows = table.rows()
        if stored:
            is_kept |= np.isin(rows.offsets, list(stored))
        if is_kept.all():
            prepared.rows = rows
            return prepared
        prepared.rows = rows.take(np.flatnonzero(is_kept))
        prepared.set_aside = await self._set_aside(table, is_kept.tolist())
        return prepared

    async def _learn(self, seen: SeenIdentities, sessions: Collection[str], at_ms: int) -> None:
        asked = {session for session in sessions if seen.must_ask(session, at_ms)}
        if not asked:
            return
        found = await self._knowledge.stored_sequences(asked)
        for session in asked:
            if seen.must_ask(session, at_ms):  # the other topic's chunk may have asked meanwhile
                seen.learn(session, found[session])

    async def _set_aside(self, table: EventTable, is_kept: list[bool]) -> Lines:
        """A re-send is told from a conflict by the payload that counts."""
        assert table.events is not None
        identities = _listed(table.events.identities)
        hashes = table.events.hashes.tolist()
        received_ms = table.events.received_ms.tolist()
        offsets = table.events.offsets.tolist()
        again = [row for row, kept in enumerate(is_kept) if not kept]
        repeated = {identities[row] for row in again}
        firsts = {
            identity: hashes[row]
            for row, identity in enumerate(identities)
            if is_kept[row] and identity in repeated
        }
        if unknown := repeated - firsts.keys():
            firsts |= await self._knowledge.payload_hashes(unknown)
        raws = {raw.offset: raw for raw in table.chunk.placed_at({offsets[row] for row in again})}
        lines: list[Line] = []
        for row in again:
            session, source, sequence = identity = identities[row]
            is_same = firsts.get(identity, hashes[row]) == hashes[row]
            lines.append(
                aside_line(
                    "duplicate" if is_same else "conflict",
                    table.chunk.topic,
                    raws[offsets[row]],
                    received_ms[row],
                    session_id=session,
                    source=source,
                    sequence=sequence,
                )
            )
        return Lines(lines)


def _listed(identities: Identities) -> list[Identity]:
    return list(
        zip(
            [identities.session_names[code] for code in identities.sessions.tolist()],
            [identities.source_names[code] for code in identities.sources.tolist()],
            identities.sequences.tolist(),
            strict=True,
        )
    )
