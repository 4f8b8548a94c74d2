"""The sink: every stored topic into ClickHouse, exactly once in effect.

A consumer of its own, not Faust's: chunk borders must be a function of the log and its truth is
what ClickHouse holds, while Faust's deliveries end wherever a fetch ended. Offsets are committed
only after their rows are stored. While ClickHouse is away consumption pauses, and what is held in
memory is bounded.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from operator import itemgetter
from typing import Any, Final

import mode
import msgspec
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata

from agents.analytics.batches import BatchConsumer
from agents.analytics.chunks import Chunk, Chunker, ChunkLimits
from agents.analytics.intakes import Intakes, stored_topics, table_of
from agents.analytics.lane import Lane, PatientKnowledge
from agents.analytics.periods import PERIOD_MS_MAX, Allowance, plan_periods
from agents.analytics.progress_rows import PartitionProgress, progress_lines
from agents.analytics.store import Store, StoreUnavailableError
from agents.analytics.writer import ChunkWriter
from agents.shell import ShellPorts
from schemas.errors import InvalidMessageError, StopWorkerError
from streams.dead_letter_limit import DeadLetterLimit
from streams.dead_letters import publish_dead_letter
from streams.partitions import METADATA_AGE_MS_MAX
from streams.reader import RawRecord
from streams.topic import Topic
from streams.topics import BY_NAME

log = logging.getLogger(__name__)

GROUP: Final = "analytics.sink"
"""Not the name of the worker: Faust would join the group of that name too."""
POLL_MS: Final = 100
PARTITION_FETCH_BYTES_MAX: Final = 1 << 20
FETCH_BYTES_MAX: Final = 8 << 20
FETCH_BYTES_MIN: Final = 256 << 10
"""A fetch costs broker and sink the same whatever it brings: under load a few large ones."""
FETCH_WAIT_MS_MAX: Final = 250
"""For so many bytes; half of what records gather anyway."""
BEGIN_RETRY_S: Final = 0.5
PROGRESS_S: Final = 5.0


class SinkLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much the sink holds, and how it cuts."""

    chunks: ChunkLimits = ChunkLimits()
    """Their bucket is the shortest: where a table has many partitions, it grows."""
    bucket_ms_max: int = PERIOD_MS_MAX
    buffer_bytes_max: int = 32 << 20
    storing_max: int = 4
    """Chunks in hand at once, over all partitions: ClickHouse takes no more at a time."""
    queued_chunks_max: int = 2
    """Per partition."""


class Sink(mode.Service):
    """Follows the stored topics as one consumer group."""

    def __init__(
        self,
        ports: ShellPorts,
        store: Store,
        *,
        group: str = GROUP,
        instance: str = "1",
        limits: SinkLimits | None = None,
        topics: Iterable[Topic] | None = None,
        **service_options: Any,
    ) -> None:
        self._ports = ports
        self._store = store
        self._group = ports.broker.physical(group)
        self._instance = instance
        self._limits = limits or SinkLimits()
        self._topics = stored_topics() if topics is None else stored_topics(topics)
        tables = {name: table_of(name) for name in self._topics}
        self._periods = plan_periods(
            self._topics,
            tables,
            bucket_ms_min=self._limits.chunks.bucket_ms,
            bucket_ms_max=self._limits.bucket_ms_max,
        )
        of_table = {table: Allowance(ports.clock) for table in tables.values()}
        self._allowances = {name: of_table[table] for name, table in tables.items()}
        self._writer = ChunkWriter(store)
        knowledge = PatientKnowledge(store, lambda: None)
        self._intakes = Intakes(knowledge, state_key=ports.state_key, clock=ports.clock)
        self._dead_letter_limits = {name: DeadLetterLimit(ports.clock) for name in self._topics}
        self._turns = asyncio.Semaphore(self._limits.storing_max)
        self._lanes: dict[TopicPartition, Lane] = {}
        self._tasks: dict[TopicPartition, asyncio.Task[None]] = {}
        self._paused: set[TopicPartition] = set()
        self._committed: dict[TopicPartition, int] = {}
        self._begun_until: dict[TopicPartition, int | None] = {}
        """The last offset of the chunk that was being stored when the partition was let go."""
        self._consumer: BatchConsumer | None = None
        super().__init__(**service_options)

    @property
    def buffered_bytes(self) -> int:
        """Everything that was read and is not stored."""
        return sum(lane.size_bytes for lane in self._lanes.values())

    async def offsets(self) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
        """What is committed, and the ends, of the partitions that it has. Raises KafkaError."""
        if self._consumer is None or not (partitions := self._consumer.assignment()):
            return {}, {}
        ends = await self._consumer.end_offsets(list(partitions))
        return {p: self._committed.get(p, 0) for p in partitions}, ends

    async def on_start(self) -> None:
        """Join the group."""
        self._consumer = BatchConsumer(
            **self._ports.broker.client_options(),
            group_id=self._group,
            group_instance_id=f"{self._group}-{self._instance}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_min_bytes=FETCH_BYTES_MIN,
            fetch_max_wait_ms=FETCH_WAIT_MS_MAX,
            fetch_max_bytes=FETCH_BYTES_MAX,
            max_partition_fetch_bytes=PARTITION_FETCH_BYTES_MAX,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=2_000,
            metadata_max_age_ms=METADATA_AGE_MS_MAX,
        )
        names = [self._ports.broker.physical(name) for name in self._topics]
        self._consumer.subscribe(names, listener=_Rebalance(self))
        await self._consumer.start()
        self.add_future(self._follow())
        self.add_future(self._report())

    async def on_stop(self) -> None:
        """Leave at once: what was read and not stored is read again."""
        await self.release(list(self._lanes))
        if self._consumer is not None:
            await self._consumer.stop()

    async def _follow(self) -> None:
        assert self._consumer is not None
        while not self.should_stop:
            fetched = await self._consumer.getbatches(timeout_ms=POLL_MS)
            for partition, batches in fetched.items():
                lane = self._lane(partition)
                for batch in batches:
                    lane.add(batch)
            await self._close_idle()
            self._hold_back()
            if len(self._paused) == len(self._consumer.assignment()):
                await self.sleep(POLL_MS / 1000)  # getbatches would come back at once

    async def _report(self) -> None:
        while not self.should_stop:
            await self.sleep(PROGRESS_S)
            now_ms = self._ports.clock()
            body = progress_lines(await self._progress(), now_ms)
            if not body:
                continue
            try:
                await self._store.insert("ingest_progress", body, f"progress:{now_ms}")
            except StoreUnavailableError as error:
                log.warning("progress is not told: %s", error)

    async def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Begin where the group is; refuse a log that is not the one that was stored."""
        assert self._consumer is not None
        partitions = list(partitions)
        ends = await self._consumer.end_offsets(partitions) if partitions else {}
        for partition in partitions:
            committed, begun_until = await self._consumer.committed_with_note(partition)
            self._committed[partition] = committed or 0
            self._begun_until[partition] = int(begun_until) if begun_until else None
            if committed is not None and committed > ends[partition]:
                self._ports.halt(
                    StopWorkerError(
                        f"{partition.topic} {partition.partition} ends at {ends[partition]}, but"
                        f" {committed} was stored: the topic was made anew. Reset the group"
                        f" {self._group} by hand, into an empty database"
                    )
                )

    async def release(self, partitions: Iterable[TopicPartition]) -> None:
        """Let go of partitions; an insert under way is verified by whoever has them next."""
        for partition in list(partitions):
            task = self._tasks.pop(partition, None)
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            self._lanes.pop(partition, None)
            self._paused.discard(partition)
            self._intakes.forget(self._logical(partition), partition.partition)

    def _lane(self, partition: TopicPartition) -> Lane:
        lane = self._lanes.get(partition)
        if lane is None:
            name, number = self._logical(partition), partition.partition
            period = self._periods[name]
            limits = msgspec.structs.replace(self._limits.chunks, bucket_ms=period.bucket_ms)
            lane = self._lanes[partition] = Lane(
                Chunker(
                    name,
                    number,
                    limits,
                    period.phase_ms(number),
                    begun_until=self._begun_until.pop(partition, None),
                ),
                self._intakes.of(name, number),
                self._writer,
                turns=self._turns,
                allowance=self._allowances[name],
                limit=self._dead_letter_limits[name],
                begin=self._begin,
                bury=self._bury,
                stored=self._commit,
            )
            task = asyncio.create_task(lane.run(), name=f"sink {name} {number}")
            task.add_done_callback(self._on_lane_done)
            self._tasks[partition] = task
        return lane

    def _on_lane_done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._ports.halt(error)

    async def _close_idle(self) -> None:
        assert self._consumer is not None
        now_ms = self._ports.clock()
        opened = [
            (opened_at_ms, partition, lane)
            for partition, lane in self._lanes.items()
            if (opened_at_ms := lane.opened_at_ms) is not None
        ]
        for _, partition, lane in sorted(opened, key=itemgetter(0)):
            if await self._is_at_end(partition):
                lane.close_idle(now_ms)

    async def _is_at_end(self, partition: TopicPartition) -> bool:
        assert self._consumer is not None
        try:
            end = self._consumer.highwater(partition)
            return end is not None and await self._consumer.position(partition) >= end
        except IllegalStateError:  # it was revoked in between
            return False

    def _hold_back(self) -> None:
        """Pause what waits for ClickHouse, and everything while memory is full.

        But for where no chunk is whole yet: then it must grow until one can be stored.
        """
        assert self._consumer is not None
        is_full = self.buffered_bytes >= self._limits.buffer_bytes_max and any(
            lane.queued_count for lane in self._lanes.values()
        )
        for partition, lane in self._lanes.items():
            should_pause = is_full or lane.queued_count >= self._limits.queued_chunks_max
            if should_pause and partition not in self._paused:
                self._consumer.pause(partition)
                self._paused.add(partition)
            elif not should_pause and partition in self._paused:
                self._consumer.resume(partition)
                self._paused.discard(partition)

    async def _begin(self, chunk: Chunk) -> None:
        """Note in the group where the chunk ends; waits while the log is away.

        An insert may still be under way in ClickHouse when its sink is gone. Whoever comes next
        must send these very rows under this very token, and no others: then it counts once. Whoever
        is no member any more cannot note it, and so inserts nothing.
        """
        assert self._consumer is not None
        place = TopicPartition(self._ports.broker.physical(chunk.topic), chunk.partition)
        noted = {place: OffsetAndMetadata(chunk.first, str(chunk.last))}
        while True:
            try:
                await self._consumer.commit(noted)
            except (KafkaError, IllegalStateError) as error:
                log.warning("%s waits for the log: %s", chunk.token, error)
                await asyncio.sleep(BEGIN_RETRY_S)
            else:
                return

    async def _commit(self, chunk: Chunk) -> None:
        assert self._consumer is not None
        place = TopicPartition(self._ports.broker.physical(chunk.topic), chunk.partition)
        metrics = self._ports.metrics
        metrics.records.labels(chunk.topic).inc(chunk.count)
        age_ms = max(0, self._ports.clock() - chunk.oldest_at_ms)
        metrics.handle_seconds.labels(chunk.topic).observe(age_ms / 1000)
        try:
            await self._consumer.commit({place: chunk.last + 1})
        except (KafkaError, IllegalStateError) as error:
            # The next commit covers it; until then a successor finds the rows stored.
            log.warning("%s is stored but not committed: %s", chunk.token, error)
        else:
            self._committed[place] = chunk.last + 1

    async def _bury(self, topic_name: str, raw: RawRecord, error: InvalidMessageError) -> None:
        topic = BY_NAME[topic_name]
        log.warning("%s partition %d offset %d: %s", topic_name, raw.partition, raw.offset, error)
        self._ports.metrics.dead_letters.labels(topic_name, error.reason).inc()
        if not topic.has_dead_letters:
            return
        await publish_dead_letter(
            self._ports.publisher,
            topic,
            raw,
            error,
            failed_at_ms=self._ports.clock(),
            agent=self._group,
        )

    async def _progress(self) -> list[PartitionProgress]:
        assert self._consumer is not None
        found = []
        for partition in self._consumer.assignment():
            end = self._consumer.highwater(partition)
            oldest = lane.oldest if (lane := self._lanes.get(partition)) is not None else None
            if end is None or (oldest is None and not await self._is_at_end(partition)):
                continue
            # With nothing waiting, all is stored as of the answer that told where the log ends.
            until_ms = (
                oldest.oldest_at_ms if oldest else self._consumer.last_poll_timestamp(partition)
            )
            if until_ms is not None:
                found.append(
                    PartitionProgress(
                        topic=self._logical(partition),
                        partition=partition.partition,
                        stored_offset=oldest.first if oldest else end,
                        end_offset=end,
                        complete_until_ms=until_ms,
                    )
                )
        return found

    def _logical(self, partition: TopicPartition) -> str:
        return self._ports.broker.logical(partition.topic)


class _Rebalance(ConsumerRebalanceListener):
    """Tells the sink what it has to follow."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Some of them go to another worker."""
        await self._sink.release(revoked)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """These are ours from now on."""
        await self._sink.assign(assigned)
