"""Delivers chunks, and commits only what was acknowledged without a gap before it.

What is in flight stands in a queue per partition, whose acknowledged head is what gets committed.
An epoch counts the moments at which positions may have moved under a running fetch: records read
before one are dropped after it, and the positions are taken back to the commits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from mode.utils.futures import notify

from schemas.errors import StopWorkerError
from streams.consumer.chunk import Chunk, chunks_of, message_of
from streams.consumer.progress import Progress
from streams.consumer.recovery import Recovered
from streams.consumer.thread import ChunkThread
from streams.records import FetchedRecord

POLL_S = 1.0
REWIND_RETRY_S = 0.5
DRAIN_LOOK_S = 0.02


class ChunkConsumer(driver.Consumer):
    """Faust's consumer with its reading and committing replaced."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._progress: dict[TP, Progress] = {}
        self._epoch = 0
        self._must_rewind = False
        self._buffer_dropped = asyncio.Event()
        super().__init__(*args, **kwargs)
        self._settings = self.transport.settings
        self._recovered = Recovered(self.app)

    def _new_consumer_thread(self) -> ChunkThread:
        return ChunkThread(self, loop=self.loop, beacon=self.beacon)

    # -- positions ---------------------------------------------------------

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Faust waits in here for running work and commits it; then the partitions are gone."""
        self._epoch += 1
        await super().on_partitions_revoked(revoked)
        self._epoch += 1
        for tp in revoked:
            self._forget(tp)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Records that are under way were read for another assignment."""
        self._epoch += 1
        await super().on_partitions_assigned(assigned, generation_id)

    async def perform_seek(self) -> None:
        """Go back to the commits; to the log's beginning where there is none."""
        self._epoch += 1
        self._must_rewind = True  # until all of this has succeeded
        for tp in list(self._progress):
            self._forget(tp)
        await super().perform_seek()
        uncommitted = []
        for tp in self.assignment():
            if not self.app.topics.acks_enabled_for(tp.topic):
                continue
            # Here Faust notes the next offset to read; after a read it notes the last one read.
            committed = self._read_offset[tp]
            self._progress[tp] = Progress(committed or None)
            if not committed:
                uncommitted.append(TopicPartition(*tp))
        if uncommitted:
            await self._thread.seek_to_beginning(*uncommitted)
        self._epoch += 1
        self._must_rewind = False

    def _forget(self, tp: TP) -> None:
        progress = self._progress.pop(tp, None)
        for message in progress.void() if progress is not None else ():
            if isinstance(message, Chunk):
                message.is_void = True

    async def _rewind_in_flow(self) -> None:
        if self.flow_active:
            await self._rewind()
        else:
            await self.wait(self.can_resume_flow)

    async def _rewind(self) -> None:
        try:
            await self.perform_seek()
            await self._rewind_changelogs()
        except (KafkaError, IllegalStateError, TimeoutError) as error:
            # The broker is away, or a rebalance began: nothing is delivered until it succeeds.
            self.log.warning("positions are not taken back yet: %r", error)
            await self.sleep(REWIND_RETRY_S)

    async def _rewind_changelogs(self) -> None:
        """What was dropped may have been a table's: recovery waits for it, and only for that.

        A fetch that was under way when the partitions came may answer with records of after the
        recovery's own seek, and is dropped as one of another assignment.
        """
        recovery = self.app.tables.recovery
        if recovery.in_recovery:
            ours = recovery.active_tps & self.assignment()
            await self.seek_wait({tp: max(0, recovery.active_offsets[tp]) for tp in ours})

    # -- acknowledgments and commits ----------------------------------------

    def ack(self, message: ConsumerMessage) -> bool:
        """Called once the last stream has acknowledged the message."""
        if message.acked:
            return False
        message.acked = True
        self._unacked_messages.discard(message)
        notify(self._waiting_for_ack)
        return True

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit what is done; False where nothing new is, or the broker did not take it."""
        if self.crashed:
            return False  # the consumer's thread may be gone: this would wait for ever
        owned = self.assignment()
        offsets = {
            tp: offset
            for tp, progress in self._progress.items()
            if tp in owned
            and (topics is None or tp in topics or tp.topic in topics)
            and (offset := progress.committable()) is not None
        }
        if not offsets:
            return False
        committing = {tp: self._progress[tp] for tp in offsets}
        state = self.app.sensors.on_commit_initiated(self)
        if not await self._commit(offsets):
            return False
        for tp, offset in offsets.items():
            committing[tp].confirm(offset)
        self._committed_offset.update(offsets)
        self.app.tables.on_commit(offsets)
        self.app.monitor.on_tp_commit(offsets)
        self.app.sensors.on_commit_completed(self, state)
        return True

    async def wait_empty(self) -> None:
        """Wait for the running work, bounded, and commit it.

        Faust's own loop has no bound, and a wait_for around it hangs: it swallows cancellation.
        """
        deadline_s = monotonic() + self._settings.drain_s_max
        while self._has_running_work() and not self.should_stop:
            if monotonic() > deadline_s:
                self.log.warning("work is still running; its records will be read again")
                break
            await asyncio.sleep(DRAIN_LOOK_S)
        await self.commit()

    def _has_running_work(self) -> bool:
        self._clean_unacked_messages()
        return bool(self._unacked_messages)

    async def on_stop(self) -> None:
        """Commit what is done, unless the consumer has crashed."""
        if self.crashed:
            return
        try:
            async with asyncio.timeout(self._settings.drain_s_max + self._settings.commit_s_max):
                await super().on_stop()
        except TimeoutError:
            self.log.warning("the last commit timed out; some records will be read again")

    # -- reading -------------------------------------------------------------

    def on_buffer_drop(self, tp: TP) -> None:
        """An agent's queue has room again."""
        super().on_buffer_drop(tp)
        self._buffer_dropped.set()

    async def _wait_next_records(self, timeout: float) -> tuple[Any, set[TP] | None]:
        is_held_back = self._buffered_partitions and not self._get_active_partitions()
        if not (self.flow_active and is_held_back):
            return await super()._wait_next_records(timeout)  # type: ignore[no-any-return]
        # Every partition waits for its agent: Faust would sleep for a whole second.
        self._buffer_dropped.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._buffer_dropped.wait()
        return {}, self._get_active_partitions()

    async def _drain_messages(self, fetcher: Any) -> None:
        """The read loop, run by Faust's fetcher service."""
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):
                if self._must_rewind:
                    # Before anything else is taken: behind what was dropped there would be a gap.
                    await self._rewind_in_flow()
                    continue
                epoch, generation = self._epoch, self.app.consumer_generation_id
                fetched, active = await self._wait_next_records(POLL_S)
                if fetched and self._is_current(generation):
                    await self._deliver(fetched, active, epoch, generation)
                elif fetched:
                    self._must_rewind = True
                count = sum(map(len, fetched.values()))
                self._thread.let_gather(count >= self._settings.busy_records_min)
                await asyncio.sleep(0)
        except (*self.consumer_stopped_errors, asyncio.CancelledError):
            if not self.app.should_stop:
                raise

    def _is_current(self, generation: int) -> bool:
        return bool(self.flow_active and generation == self.app.consumer_generation_id)

    async def _deliver(
        self,
        fetched: Mapping[Any, Sequence[FetchedRecord]],
        active: set[TP] | None,
        epoch: int,
        generation: int,
    ) -> None:
        for partition, records in fetched.items():
            tp = TP(partition.topic, partition.partition)
            callback = self.app.topics._tp_to_callback.get(tp)
            if callback is None or not self._is_wanted(tp, active):
                continue
            if not self._is_current(generation):
                self._must_rewind = True
                return
            self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
            if not self.app.topics.acks_enabled_for(tp.topic):
                # Changelogs: recovery sets their positions, a rewind of the streams is none of
                # theirs. Were they dropped for it, recovery would never end.
                await self._deliver_changelog(tp, records, callback)
            elif epoch != self._epoch:
                self._must_rewind = True
            else:
                await self._deliver_stream(tp, records, callback, epoch)

    def _is_wanted(self, tp: TP, active: set[TP] | None) -> bool:
        return active is None or tp in active or tp in self._buffered_partitions

    async def _deliver_changelog(
        self, tp: TP, records: Sequence[FetchedRecord], callback: Any
    ) -> None:
        for record in self._recovered.apply(tp, records):
            await callback(message_of(tp, record, self.app.consumer_generation_id))
        self._read_offset[tp] = records[-1].offset

    async def _deliver_stream(
        self, tp: TP, records: Sequence[FetchedRecord], callback: Any, epoch: int
    ) -> None:
        progress = self._progress.get(tp)
        if progress is None:
            self._must_rewind = True  # assigned, and not yet positioned
            return
        if progress.next_offset is not None and records[0].offset < progress.next_offset:
            raise StopWorkerError(
                f"{tp.topic} {tp.partition} is another log than was read: it answers with"
                f" {records[0].offset} where {progress.next_offset} comes next. Reset the group"
            )
        for message in self._messages(tp, records):
            progress.hand_out(message)
            if isinstance(message, Chunk):
                # A rebalance that begins while the agent's queue is full ends the wait.
                await self.wait_first(callback(message), self.suspend_flow.wait())
            else:
                await callback(message)  # wait_first costs more than all the rest together
            if epoch != self._epoch or not self.flow_active:
                self._must_rewind = True
                return
            self._read_offset[tp] = message.offset

    def _messages(self, tp: TP, records: Sequence[FetchedRecord]) -> Iterable[ConsumerMessage]:
        generation = self.app.consumer_generation_id
        if tp.topic in self.transport.chunked_topics:
            return chunks_of(tp, records, self._settings.chunk_records_max, generation)
        return (message_of(tp, record, generation) for record in records)
