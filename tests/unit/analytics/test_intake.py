"""A chunk whose insert by an earlier process is still under way while it is sorted out again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest
from msgspec import structs

from agents.analytics.chunks import Chunk
from agents.analytics.decision_rows import DecisionReader
from agents.analytics.event_intake import EventIntake
from agents.analytics.event_table import EventTableReader
from agents.analytics.identities import SeenIdentities
from agents.analytics.intake import DecisionIntake, Intake
from agents.analytics.intakes import Intakes
from agents.analytics.void_marks import StoredDecision
from schemas import codec
from schemas.events import Heartbeat
from schemas.ids import uuid7
from schemas.watching import Watch
from streams.topics import PLAYBACK_BANDWIDTH, PLAYBACK_EVENTS, WATCHES
from tests.unit.analytics.playback import SESSION_ID, START_MS, TimeLine
from tests.unit.analytics.tables import a_chunk

Question = int


class Landing:
    """ClickHouse, in which all of the chunk's rows land before the question of that number."""

    def __init__(self, chunk: Chunk, before: Question) -> None:
        self._chunk = chunk
        self._before = before
        self._asked = 0

    def _is_there(self) -> bool:
        self._asked += 1
        return self._asked > self._before

    async def stored_sequences(
        self, sessions: Collection[str]
    ) -> dict[str, dict[str, list[tuple[int, int]]]]:
        spans = {"p": [(0, 99)]} if self._is_there() else {}
        return dict.fromkeys(sessions, spans)

    async def payload_hashes(
        self, identities: Collection[tuple[str, str, int]]
    ) -> dict[tuple[str, str, int], int]:
        return {}

    async def known_decisions(self, topic: str, identities: Collection[str]) -> set[str]:
        return set(identities) if self._is_there() else set()

    async def decisions_before(
        self, topic: str, partition: int, offset: int, *, count_max: int
    ) -> list[StoredDecision]:
        return []

    async def stored_offsets(self) -> Collection[int]:
        return {record.offset for record in self._chunk.records()} if self._is_there() else ()


def an_event_intake(store: Landing) -> Intake:
    seen = SeenIdentities()
    return EventIntake(EventTableReader(), lambda: seen, store)


def a_decision_intake(store: Landing) -> Intake:
    return DecisionIntake(DecisionReader(WATCHES, state_key=None), store)


def events() -> Chunk:
    line = TimeLine(source="p")
    return a_chunk(*[codec.encode(line.at(number, Heartbeat)) for number in range(3)])


def decisions() -> Chunk:
    return a_chunk(*[codec.encode(a_watch(number)) for number in range(3)], topic=WATCHES.name)


def a_watch(number: int) -> Watch:
    return Watch(
        profile_id="p",
        account_id="a",
        content_id="c",
        session_id=SESSION_ID,
        step="progressed",
        playhead_ms=0,
        completion_ratio=0,
        at_ms=START_MS,
        bucket=number,
    )


@pytest.mark.parametrize("before", range(3))
@pytest.mark.parametrize("kind", ["events", "decisions"])
async def test_no_record_is_a_duplicate_of_itself(kind: str, before: Question) -> None:
    chunk = events() if kind == "events" else decisions()
    store = Landing(chunk, before)
    intake = an_event_intake(store) if kind == "events" else a_decision_intake(store)
    prepared = await intake.prepare(chunk, store.stored_offsets)
    assert list(prepared.rows.offsets) == [record.offset for record in chunk.records()]
    assert not prepared.set_aside.offsets


class Holding:
    """ClickHouse, which holds the first events of every session."""

    async def stored_sequences(
        self, sessions: Collection[str]
    ) -> dict[str, dict[str, list[tuple[int, int]]]]:
        return {session: {"p": [(0, 9)]} for session in sessions}

    async def payload_hashes(
        self, identities: Collection[tuple[str, str, int]]
    ) -> dict[tuple[str, str, int], int]:
        return {}

    async def known_decisions(self, topic: str, identities: Collection[str]) -> set[str]:
        return set()

    async def decisions_before(
        self, topic: str, partition: int, offset: int, *, count_max: int
    ) -> list[StoredDecision]:
        return []


async def test_what_was_stored_is_asked_for_however_far_apart_two_topics_stand() -> None:
    """A sink takes up one topic minutes behind the other: sessions may have begun in between."""
    minute_ms = 60_000
    taken_over_ms, began_ms = START_MS + 10 * minute_ms, START_MS + 5 * minute_ms
    intakes = Intakes(Holding(), state_key=None, clock=lambda: taken_over_ms)
    old = TimeLine(source="p").at(0, Heartbeat)
    behind = _taken(a_chunk(codec.encode(old)), START_MS)
    await intakes.of(PLAYBACK_EVENTS.name, 3).prepare(behind, _nothing)
    again = structs.replace(old, session_id=str(uuid7(began_ms, bytes(10))))
    ahead = a_chunk(codec.encode(again), topic=PLAYBACK_BANDWIDTH.name)
    ahead = _taken(ahead, began_ms + 2 * minute_ms)
    prepared = await intakes.of(PLAYBACK_BANDWIDTH.name, 3).prepare(ahead, _nothing)
    assert not list(prepared.rows.offsets)
    assert list(prepared.set_aside.offsets) == [7]


async def _nothing() -> Collection[int]:
    return ()


def _taken(chunk: Chunk, at_ms: int) -> Chunk:
    """The chunk as if the broker had taken it then."""
    batches = [replace(batch, oldest_at_ms=at_ms, newest_at_ms=at_ms) for batch in chunk.batches]
    return replace(chunk, batches=batches)
