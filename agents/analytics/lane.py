"""One partition's way into ClickHouse: chunk after chunk, each stored before the next is begun."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeVar

from agents.analytics.batches import Batch
from agents.analytics.chunks import Chunk, Chunker
from agents.analytics.intake import Intake, aside_of, place_of
from agents.analytics.periods import Allowance
from agents.analytics.store import Store, StoreUnavailableError
from agents.analytics.void_marks import StoredDecision
from agents.analytics.writer import ChunkWriter
from schemas.errors import InvalidMessageError
from streams.dead_letter_limit import DeadLetterLimit
from streams.reader import RawRecord

T = TypeVar("T")

RETRY_S: float = 1.0

Bury = Callable[[str, RawRecord, InvalidMessageError], Awaitable[None]]
Begin = Callable[[Chunk], Awaitable[None]]
"""Called before anything of the chunk is sent; returns once whoever comes next would know of it."""
Stored = Callable[[Chunk], Awaitable[None]]
"""Called once the chunk, and so everything before it, is stored."""


class Lane:
    """Takes batches in order; `run` stores their chunks in order."""

    def __init__(
        self,
        chunker: Chunker,
        intake: Intake,
        writer: ChunkWriter,
        *,
        turns: asyncio.Semaphore,
        allowance: Allowance,
        limit: DeadLetterLimit,
        begin: Begin,
        bury: Bury,
        stored: Stored,
    ) -> None:
        self._chunker = chunker
        self._intake = intake
        self._writer = writer
        self._turns = turns
        self._allowance = allowance
        self._limit = limit
        self._begin = begin
        self._bury = bury
        self._stored = stored
        self._queue: deque[Chunk] = deque()
        self._awake = asyncio.Event()
        # An earlier process may have inserted the first chunks and died before it committed.
        self._in_doubt = True

    @property
    def queued_count(self) -> int:
        """Chunks that wait or are being stored."""
        return len(self._queue)

    @property
    def size_bytes(self) -> int:
        """Everything that is held in memory."""
        return self._chunker.size_bytes + sum(chunk.size_bytes for chunk in self._queue)

    @property
    def oldest(self) -> Batch | None:
        """The first batch that is not stored yet; None: all are."""
        return self._queue[0].batches[0] if self._queue else self._chunker.oldest

    @property
    def opened_at_ms(self) -> int | None:
        """When the broker took the first record of the open chunk; None: none is open."""
        return oldest.oldest_at_ms if (oldest := self._chunker.oldest) is not None else None

    def add(self, batch: Batch) -> None:
        """Take the next batch of the partition."""
        for chunk in self._chunker.add(batch):
            self._enqueue(chunk)

    def close_idle(self, now_ms: int) -> None:
        """The reader has seen the partition's end: what need not wait for more is stored.

        That is what can get no more records, and all while its table gets few inserts.
        """
        is_early_fine = not self._queue and self._allowance.has_one()
        chunk = self._chunker.close_idle(now_ms, is_early_fine=is_early_fine)
        if chunk is not None:
            self._enqueue(chunk)

    async def run(self) -> None:
        """Store chunks until cancelled. Raises StopWorkerError where too much is buried."""
        while True:
            await self._awake.wait()
            self._awake.clear()
            while self._queue:
                async with self._turns:  # a chunk in hand is several times its size in the log
                    await self._store(self._queue[0])
                self._queue.popleft()

    def _enqueue(self, chunk: Chunk) -> None:
        self._allowance.spend()
        self._queue.append(chunk)
        self._awake.set()

    async def _store(self, chunk: Chunk) -> None:
        place = place_of(chunk, self._intake)
        await self._begin(chunk)
        stored: set[int] | None = None

        async def ask_stored() -> Collection[int]:
            nonlocal stored
            stored = await self._writer.query_stored(place) if self._in_doubt else None
            return stored or ()

        prepared = await self._intake.prepare(chunk, ask_stored)
        refused = await self._writer.write(place, chunk.token, prepared.rows, stored=stored)
        self._in_doubt = bool(stored)
        if prepared.set_aside.offsets:
            token = f"{chunk.token}#aside"
            await self._writer.write(aside_of(place), token, prepared.set_aside, stored=None)
        unstorable = InvalidMessageError("unstorable", "ClickHouse cannot read its row")
        raws = chunk.placed_at(set(refused)) if refused else []
        await self._bury_all(chunk, [*prepared.unreadable, *((raw, unstorable) for raw in raws)])
        await self._stored(chunk)

    async def _bury_all(
        self, chunk: Chunk, letters: Sequence[tuple[RawRecord, InvalidMessageError]]
    ) -> None:
        """All or none: a worker that is stopped here is started again, and reads them again."""
        self._limit.count_records(chunk.count)
        for _, error in letters:
            self._limit.count_letter(chunk.topic, error.reason)
        for raw, error in letters:
            await self._bury(chunk.topic, raw, error)


class PatientKnowledge:
    """Asks the store, and waits while it is away."""

    def __init__(self, store: Store, on_outage: Callable[[], None]) -> None:
        self._store = store
        self._on_outage = on_outage

    async def stored_sequences(
        self, sessions: Collection[str]
    ) -> dict[str, dict[str, list[tuple[int, int]]]]:
        """The intervals of stored sequence numbers, by session and source."""
        return await self._ask(lambda: self._store.stored_sequences(sessions))

    async def payload_hashes(
        self, identities: Collection[tuple[str, str, int]]
    ) -> dict[tuple[str, str, int], int]:
        """The hash of the payload that counts, of stored identities."""
        return await self._ask(lambda: self._store.payload_hashes(identities))

    async def known_decisions(self, topic: str, identities: Collection[str]) -> set[str]:
        """Those of the identities that are stored."""
        return await self._ask(lambda: self._store.known_decisions(topic, identities))

    async def decisions_before(
        self, topic: str, partition: int, offset: int, *, count_max: int
    ) -> list[StoredDecision]:
        """The rows of the last `count_max` offsets before this one, in order."""
        return await self._ask(
            lambda: self._store.decisions_before(topic, partition, offset, count_max=count_max)
        )

    async def _ask(self, question: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await question()
            except StoreUnavailableError:
                self._on_outage()
                await asyncio.sleep(RETRY_S)
