"""A window of a topic, read again into ClickHouse: what is missing is added, nothing is doubled.

It reads without a group and moves no offsets, so it may run beside the sink. Records whose rows
are stored are skipped by offset; identities that are stored under another offset are set aside.
After each chunk it says where it is; who keeps that goes on there after a kill.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from typing import Final

import msgspec
from aiokafka import TopicPartition

from agents.analytics.batches import BatchConsumer
from agents.analytics.chunks import Chunk, Chunker, ChunkLimits
from agents.analytics.intake import Prepared, aside_of, place_of
from agents.analytics.intakes import Intakes, stored_topics
from agents.analytics.lane import PatientKnowledge
from agents.analytics.pace import Pace
from agents.analytics.store import Store
from agents.analytics.windows import Span, Window, find_spans, left_to_sink
from agents.analytics.writer import ChunkWriter, without
from schemas.secrets import SecretBytes
from streams.broker import Broker
from streams.partitions import count_partitions
from streams.topics import BY_NAME

POLL_MS: Final = 500
LIMITS: Final = ChunkLimits(bucket_ms=3_600_000)
WHOLE: Final = ChunkLimits(records_max=1 << 40, bytes_max=1 << 40, bucket_ms=1 << 50)
"""One chunk, whatever is in it."""
CHUNK_RECORDS_MIN: Final = 200


class ReplayProgress(msgspec.Struct, frozen=True, kw_only=True):
    """Records so far. read = stored + added + set_aside + unreadable."""

    total: int
    """Offsets of the window; a compacted topic has fewer records."""
    read: int = 0
    stored: int = 0
    """Were rows already."""
    added: int = 0
    """Were missing; in a dry run: are missing."""
    set_aside: int = 0
    """Their identity is stored under another offset."""
    unreadable: int = 0


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk that is being written, and what it comes to.

    Found after a kill, its rows may be stored: they are ours, and counted as it was planned.
    """

    span: Span
    planned: ReplayProgress


class ReplayState(msgspec.Struct, frozen=True, kw_only=True):
    """All that a replay must know to go on."""

    left: tuple[Span, ...]
    """What is not read yet; empty: done."""
    progress: ReplayProgress
    pending: Pending | None = None

    @property
    def left_count(self) -> int:
        """Offsets that are not read yet."""
        return sum(span.end - span.start for span in self.left)


Keep = Callable[[ReplayState], None]
"""Keeps the state before and after each chunk's insert; a later one replaces an earlier."""


async def begin(broker: Broker, topic_name: str, window: Window, *, group: str) -> ReplayState:
    """The state before the first record; `group`: the sink's.

    Raises ValueError for a topic that is not stored.
    """
    partitions = stored_topics().get(topic_name)
    if partitions is None:
        raise ValueError(f"{topic_name} does not go to ClickHouse")
    if topic_name in BY_NAME:
        partitions = await count_partitions(broker, BY_NAME[topic_name])
    consumer = await open_reader(broker)
    try:
        physical = broker.physical(topic_name)
        spans = await find_spans(consumer, physical, partitions, window)
    finally:
        await consumer.stop()
    spans = await left_to_sink(broker, physical, group, spans)
    total = sum(span.end - span.start for span in spans)
    return ReplayState(left=spans, progress=ReplayProgress(total=total))


async def replay_topic(
    broker: Broker,
    store: Store,
    topic_name: str,
    state: ReplayState,
    *,
    state_key: SecretBytes | None,
    dry_run: bool,
    keep: Keep,
    pace: Pace | None = None,
) -> ReplayProgress:
    """Replay what is left, partition by partition; `store` is started, and may go away.

    Safe to stop and to repeat.
    """
    if not state.left:
        keep(state)
        return state.progress
    replay = _Replay(broker, store, topic_name, state_key=state_key, dry_run=dry_run, keep=keep)
    consumer = await open_reader(broker)
    try:
        return await replay.run(consumer, state, pace or Pace())
    finally:
        await consumer.stop()


async def open_reader(broker: Broker) -> BatchConsumer:
    """A started consumer without a group."""
    consumer = BatchConsumer(
        **broker.client_options(),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=POLL_MS,
    )
    await consumer.start()
    return consumer


class _Replay:
    """One run over what is left."""

    def __init__(
        self,
        broker: Broker,
        store: Store,
        topic_name: str,
        *,
        state_key: SecretBytes | None,
        dry_run: bool,
        keep: Keep,
    ) -> None:
        self._physical = broker.physical(topic_name)
        self._topic_name = topic_name
        self._writer = ChunkWriter(store)
        knowledge = PatientKnowledge(store, lambda: None)
        self._intakes = Intakes(knowledge, state_key=state_key)
        self._dry_run = dry_run
        self._keep = keep

    async def run(self, consumer: BatchConsumer, state: ReplayState, pace: Pace) -> ReplayProgress:
        self._keep(state)
        limits = _limits(pace)
        while state.left:
            span = state.left[0]
            is_resumed = state.pending is not None
            if state.pending is not None:
                span = state.pending.span
            async for chunk in self._chunks(consumer, span, WHOLE if is_resumed else limits):
                state = await self._store(chunk, state)
                self._keep(state)
                await pace.spend(chunk.count)
            # What a compacted topic, or retention, has removed from its end is passed as well.
            state = msgspec.structs.replace(
                state, left=_passed(state.left, span.partition, span.end), pending=None
            )
            self._keep(state)
        return state.progress

    async def _store(self, chunk: Chunk, state: ReplayState) -> ReplayState:
        """The state once the chunk is stored."""
        intake = self._intakes.of(self._topic_name, chunk.partition)
        place = place_of(chunk, intake)
        stored = set[int]()

        async def ask_stored() -> Collection[int]:
            stored.update(await self._writer.query_stored(place))
            return stored

        prepared = await intake.prepare(chunk, ask_stored)
        missing = without(prepared.rows, stored)
        outcome = _outcome(prepared, len(missing.offsets))
        if state.pending is not None:
            outcome = state.pending.planned
        if not self._dry_run:
            span = Span(partition=chunk.partition, start=chunk.first, end=chunk.last + 1)
            pending = Pending(span=span, planned=outcome)
            self._keep(msgspec.structs.replace(state, pending=pending))
            # The sink's own token may be spent on these rows; what is stored is counted anyway.
            token = f"{chunk.token}#replay"
            refused = len(await self._writer.write(place, token, missing, stored=()))
            set_aside = prepared.set_aside
            await self._writer.write(aside_of(place), f"{token}#aside", set_aside, stored=())
            outcome = msgspec.structs.replace(
                outcome, added=outcome.added - refused, unreadable=outcome.unreadable + refused
            )
        return ReplayState(
            left=_passed(state.left, chunk.partition, chunk.last + 1),
            progress=_sum(state.progress, outcome),
        )

    async def _chunks(
        self, consumer: BatchConsumer, span: Span, limits: ChunkLimits
    ) -> AsyncIterator[Chunk]:
        place = TopicPartition(self._physical, span.partition)
        consumer.assign([place])
        consumer.seek(place, span.start)
        chunker = Chunker(self._topic_name, span.partition, limits)
        while await consumer.position(place) < span.end:
            fetched = await consumer.getbatches(timeout_ms=POLL_MS)
            for batch in fetched.get(place, []):
                for piece in batch.until(span.end).pieces(limits.records_max):
                    for chunk in chunker.add(piece):
                        yield chunk
        last = chunker.close()
        if last is not None:
            yield last


def _limits(pace: Pace) -> ChunkLimits:
    """Chunks of at most half a second's records: a slow replay trickles."""
    if not pace.rate_max:
        return LIMITS
    records_max = min(LIMITS.records_max, max(CHUNK_RECORDS_MIN, pace.rate_max // 2))
    return msgspec.structs.replace(LIMITS, records_max=records_max)


def _passed(left: tuple[Span, ...], partition: int, until: int) -> tuple[Span, ...]:
    """What is left once the partition is read up to there."""
    spans = (
        msgspec.structs.replace(span, start=until) if span.partition == partition else span
        for span in left
    )
    return tuple(span for span in spans if span.start < span.end)


def _outcome(prepared: Prepared, added: int) -> ReplayProgress:
    rows, set_aside = len(prepared.rows.offsets), len(prepared.set_aside.offsets)
    unreadable = len(prepared.unreadable)
    return ReplayProgress(
        total=0,
        read=rows + set_aside + unreadable,
        stored=rows - added,
        added=added,
        set_aside=set_aside,
        unreadable=unreadable,
    )


def _sum(one: ReplayProgress, other: ReplayProgress) -> ReplayProgress:
    return ReplayProgress(
        **{
            name: getattr(one, name) + getattr(other, name)
            for name in ReplayProgress.__struct_fields__
        }
    )
