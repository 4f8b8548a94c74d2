"""A window of a topic, read again into ClickHouse: what is missing is added, nothing is doubled.

It reads without a group and moves no offsets, so it may run beside the sink. Records whose rows
are stored are skipped by offset; identities that are stored under another offset are set aside.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.analytics.chunks import Chunk, Chunker, ChunkLimits
from agents.analytics.intake import Intake, Prepared
from agents.analytics.intakes import Intakes, stored_topics
from agents.analytics.lane import PatientKnowledge
from agents.analytics.store import Store
from agents.analytics.writer import ChunkWriter, Place
from schemas.secrets import SecretBytes
from streams.broker import Broker
from streams.reader import RawRecord

log = logging.getLogger(__name__)

READ_RECORDS_MAX: Final = 5_000
POLL_MS: Final = 500
LIMITS: Final = ChunkLimits(bucket_ms=3_600_000)


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a topic: by the broker's time, or by offset of every partition.

    [from, to); what is None is the log's own beginning or its end when the replay began.
    """

    from_ms: int | None = None
    to_ms: int | None = None
    from_offset: int | None = None
    to_offset: int | None = None


class ReplayProgress(msgspec.Struct, frozen=True, kw_only=True):
    """Records so far. read = stored + added + set_aside + unreadable."""

    total: int
    read: int = 0
    stored: int = 0
    """Were rows already."""
    added: int = 0
    """Were missing; in a dry run: are missing."""
    set_aside: int = 0
    """Their identity is stored under another offset."""
    unreadable: int = 0


async def replay_topic(
    broker: Broker,
    store: Store,
    topic_name: str,
    window: Window,
    *,
    state_key: SecretBytes | None,
    dry_run: bool,
    on_progress: Callable[[ReplayProgress], None],
) -> ReplayProgress:
    """Replay a stored topic, partition by partition; `store` is started, and may go away.

    Raises ValueError for a topic that does not go to ClickHouse. Safe to stop and to repeat.
    """
    partitions = stored_topics().get(topic_name)
    if partitions is None:
        raise ValueError(f"{topic_name} does not go to ClickHouse")
    writer = ChunkWriter(store)
    intakes = Intakes(PatientKnowledge(store, lambda: None), state_key=state_key, is_replay=True)
    consumer = await _open(broker)
    try:
        places = [TopicPartition(broker.physical(topic_name), n) for n in range(partitions)]
        spans = await _spans(consumer, places, window)
        progress = ReplayProgress(total=sum(end - start for start, end in spans.values()))
        on_progress(progress)
        for place, (start, end) in spans.items():
            intake = intakes.of(topic_name, place.partition)
            async for chunk in _chunks(consumer, topic_name, place, start, end):
                outcome = await _replay(chunk, intake, writer, dry_run=dry_run)
                progress = _sum(progress, outcome)
                on_progress(progress)
    finally:
        await consumer.stop()
    return progress


async def _open(broker: Broker) -> AIOKafkaConsumer:
    consumer = AIOKafkaConsumer(
        **broker.client_options(),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=POLL_MS,
    )
    await consumer.start()
    return consumer


async def _spans(
    consumer: AIOKafkaConsumer, places: list[TopicPartition], window: Window
) -> dict[TopicPartition, tuple[int, int]]:
    """First offset and end of each partition's part of the window; empty ones are left out."""
    consumer.assign(places)
    beginnings = await consumer.beginning_offsets(places)
    ends = await consumer.end_offsets(places)
    starts_at = await _offsets_at(consumer, places, window.from_ms)
    stops_at = await _offsets_at(consumer, places, window.to_ms)
    spans = {}
    for place in places:
        start, end = beginnings[place], ends[place]
        if window.from_ms is not None:  # None: nothing is so young
            start = end if (found := starts_at[place]) is None else max(start, found)
        if window.to_ms is not None and (found := stops_at[place]) is not None:
            end = min(end, found)
        start = max(start, window.from_offset or 0)
        if window.to_offset is not None:
            end = min(end, window.to_offset)
        if start < end:
            spans[place] = (start, end)
    return spans


async def _offsets_at(
    consumer: AIOKafkaConsumer, places: list[TopicPartition], at_ms: int | None
) -> dict[TopicPartition, int | None]:
    if at_ms is None:
        return {}
    found = await consumer.offsets_for_times(dict.fromkeys(places, at_ms))
    return {place: None if at is None else at.offset for place, at in found.items()}


async def _chunks(
    consumer: AIOKafkaConsumer, topic: str, place: TopicPartition, start: int, end: int
) -> AsyncIterator[Chunk[RawRecord]]:
    consumer.assign([place])
    consumer.seek(place, start)
    chunker: Chunker[RawRecord] = Chunker(topic, place.partition, LIMITS)
    while await consumer.position(place) < end:
        fetched: dict[Any, list[Any]] = await consumer.getmany(
            timeout_ms=POLL_MS, max_records=READ_RECORDS_MAX
        )
        for record in fetched.get(place, []):
            if record.offset >= end:
                break
            for chunk in chunker.add(record):
                yield chunk
    last = chunker.close()
    if last is not None:
        yield last


async def _replay(
    chunk: Chunk[RawRecord], intake: Intake, writer: ChunkWriter, *, dry_run: bool
) -> ReplayProgress:
    place = Place(
        table=intake.table,
        topic=chunk.topic,
        partition=chunk.partition,
        first=chunk.first,
        last=chunk.last,
        topic_column=intake.topic_column,
    )
    stored = await writer.query_stored(place)
    prepared: Prepared = await intake.prepare(chunk, stored)
    missing = [line for line in prepared.lines if line.offset not in stored]
    refused = 0
    if not dry_run:
        # The sink's own token may be spent on these rows; what is stored is counted anyway.
        token = f"{chunk.token}#replay"
        refused = len(await writer.write(place, token, missing, stored=()))
        aside = msgspec.structs.replace(place, table="set_aside_raw", topic_column="topic")
        await writer.write(aside, f"{token}#aside", prepared.set_aside, stored=())
    unreadable = len(prepared.unreadable) + refused
    added = len(missing) - refused
    read = len(chunk.records)
    return ReplayProgress(
        total=0,
        read=read,
        stored=read - added - len(prepared.set_aside) - unreadable,
        added=added,
        set_aside=len(prepared.set_aside),
        unreadable=unreadable,
    )


def _sum(one: ReplayProgress, other: ReplayProgress) -> ReplayProgress:
    return ReplayProgress(
        **{
            name: getattr(one, name) + getattr(other, name)
            for name in ReplayProgress.__struct_fields__
        }
    )
