"""A chunk whose insert by an earlier process is still under way while it is sorted out again."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from agents.analytics.chunks import Chunk
from agents.analytics.decision_rows import DecisionReader
from agents.analytics.event_intake import EventIntake
from agents.analytics.event_table import EventTableReader
from agents.analytics.identities import SeenIdentities
from agents.analytics.intake import DecisionIntake, Intake
from schemas import codec
from schemas.events import Heartbeat
from schemas.watching import Watch
from streams.topics import WATCHES
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

    async def stored_offsets(self) -> Collection[int]:
        return {record.offset for record in self._chunk.records()} if self._is_there() else ()


def an_event_intake(store: Landing) -> Intake:
    seen = SeenIdentities()
    return EventIntake(EventTableReader(), lambda: seen, store, is_replay=False)


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
