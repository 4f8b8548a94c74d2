"""What a lane does with what cannot be stored."""

from __future__ import annotations

import asyncio
from typing import Any

from agents.analytics.chunks import Chunk, Chunker, ChunkLimits
from agents.analytics.intake import AskStored, Prepared
from agents.analytics.lane import Lane
from agents.analytics.periods import Allowance
from agents.analytics.store import Store, parse_store_url
from agents.analytics.writer import ChunkWriter
from schemas.errors import InvalidMessageError, StopWorkerError
from streams.dead_letter_limit import DeadLetterLimit, DeadLetterRule
from streams.reader import RawRecord
from tests.unit.analytics.tables import a_batch

RULE = DeadLetterRule(letters_max=5, share_max=0.5)


class NothingReadable:
    """An intake of a broken build."""

    table = "events_raw"
    topic_column = "topic"

    async def prepare(self, chunk: Chunk, ask_stored: AskStored) -> Prepared:
        raws = [chunk.placed(record) for record in chunk.records()]
        return Prepared(unreadable=[(raw, InvalidMessageError("schema", "?")) for raw in raws])


class Ledger:
    """What became of the records."""

    def __init__(self, chunk_count: int) -> None:
        self.buried: list[int] = []
        self.begun: list[str] = []
        self.stored: list[str] = []
        self.is_complete = asyncio.Event()
        self._chunk_count = chunk_count

    async def begin(self, chunk: Chunk) -> None:
        self.begun.append(chunk.token)

    async def bury(self, topic: str, raw: RawRecord, error: InvalidMessageError) -> None:
        self.buried.append(raw.offset)

    async def store(self, chunk: Chunk) -> None:
        self.stored.append(chunk.token)
        if len(self.stored) == self._chunk_count:
            self.is_complete.set()


async def run_lane(*counts: int) -> tuple[Ledger, BaseException | None]:
    """Chunks of so many records that nobody can read; the ledger, and what stopped the lane."""
    ledger = Ledger(len(counts))
    lane = Lane(
        Chunker("t", 3, ChunkLimits(records_max=1)),  # each batch is a chunk
        NothingReadable(),
        ChunkWriter(Store(parse_store_url("http://nobody:x@localhost/none"))),
        turns=asyncio.Semaphore(1),
        allowance=Allowance(lambda: 0),
        limit=DeadLetterLimit(lambda: 0, RULE),
        begin=ledger.begin,
        bury=ledger.bury,
        stored=ledger.store,
    )
    first = 7
    for count in counts:
        lane.add(a_batch(*[b"{}"] * count, first=first))
        first += count
    tasks: list[asyncio.Task[Any]] = [
        asyncio.create_task(lane.run()),
        asyncio.create_task(ledger.is_complete.wait()),
    ]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    error = tasks[0].exception() if tasks[0].done() else None
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return ledger, error


async def test_a_few_unreadable_records_become_dead_letters() -> None:
    ledger, error = await run_lane(2, 3)
    assert error is None
    assert ledger.buried == [7, 8, 9, 10, 11]
    assert ledger.stored == ["v1:t:3:7-8", "v1:t:3:9-11"]


async def test_a_broken_build_stops_before_it_empties_the_log_into_dead_letters() -> None:
    """Of the chunk that is too much nothing is buried or committed: it is read again, and often."""
    ledger, error = await run_lane(2, 9)
    assert isinstance(error, StopWorkerError)
    assert ledger.buried == [7, 8]
    assert ledger.stored == ["v1:t:3:7-8"]
