"""The consumer's decisions without a broker: each of these was once a loss or a hang."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import faust
import pytest
from aiokafka.errors import KafkaConnectionError
from faust.types import TP

from infra.worker import WorkerPlan, faust_app
from schemas.errors import StopWorkerError
from streams.broker import Broker
from streams.consumer.chunk import Chunk
from streams.consumer.consumer import ChunkConsumer
from streams.consumer.progress import Progress
from streams.consumer.settings import FetchSettings
from streams.consumer.transport import hand_out_in_chunks, install_transport
from streams.records import FetchedRecord

HERE, THERE = TP("events", 0), TP("events", 1)
CHANGELOG, GONE = TP("changelog", 0), TP("changelog", 1)
SETTINGS = FetchSettings(chunk_records_max=3, drain_s_max=0.1)


class Thread:
    """What the consumer asks of its thread."""

    def __init__(self, committed: dict[TP, int | None]) -> None:
        self.committed = committed
        self.begun: list[tuple[str, int]] = []
        self.sought: dict[TP, int] = {}
        self.taken: list[dict[TP, int]] = []
        self.is_away = False

    async def seek_to_committed(self) -> dict[TP, int | None]:
        if self.is_away:
            raise KafkaConnectionError("away")
        return self.committed

    async def seek_to_beginning(self, *partitions: Any) -> None:
        self.begun += [(p.topic, p.partition) for p in partitions]

    async def seek_wait(self, partitions: dict[TP, int]) -> None:
        self.sought.update(partitions)

    async def commit(self, offsets: dict[TP, int]) -> bool:
        if self.is_away:
            return False
        self.taken.append(dict(offsets))
        return True

    def assignment(self) -> set[TP]:
        return set(self.committed)

    def highwater(self, _: TP) -> int:
        return 1_000


class Handed(list[Any]):
    """What the agents were handed."""

    async def __call__(self, message: Any) -> None:
        self.append(message)

    @property
    def offsets(self) -> list[int]:
        return [
            record.offset
            for message in self
            for record in (message.records if isinstance(message, Chunk) else (message,))
        ]


@pytest.fixture
def handed() -> Handed:
    return Handed()


@pytest.fixture
def thread() -> Thread:
    return Thread({HERE: 7, THERE: None})


@pytest.fixture
async def consumer(tmp_path: Path, handed: Handed, thread: Thread) -> ChunkConsumer:
    plan = WorkerPlan(
        name="unit",
        broker=Broker(bootstrap="127.0.0.1:1"),
        data_folder=tmp_path,
        announce=tmp_path / "announce.json",
    )
    app = faust_app(plan)
    install_transport(app, SETTINGS)
    hand_out_in_chunks(app, HERE.topic)
    consumer: ChunkConsumer = app.consumer
    consumer._thread = thread
    app.topics._acking_topics.add(HERE.topic)
    app.topics._tp_to_callback.update(dict.fromkeys((HERE, THERE, CHANGELOG), handed))
    await consumer.perform_seek()
    return consumer


def records(first: int, count: int) -> list[FetchedRecord]:
    return [FetchedRecord(0, first + n, 0, b"k", b"v", ()) for n in range(count)]


async def deliver(consumer: ChunkConsumer, tp: TP, first: int, count: int, age: int = 0) -> None:
    generation = consumer.app.consumer_generation_id
    fetched = {tp: records(first, count)}
    await consumer._deliver(fetched, None, consumer._epoch - age, generation)


async def test_the_committed_offset_is_the_next_one_to_read(
    consumer: ChunkConsumer, handed: Handed
) -> None:
    await deliver(consumer, HERE, 7, 4)
    assert handed.offsets == [7, 8, 9, 10]
    assert [message.offset for message in handed] == [9, 10]


async def test_a_partition_without_a_commit_goes_back_to_its_beginning(
    consumer: ChunkConsumer, handed: Handed, thread: Thread
) -> None:
    await deliver(consumer, THERE, 0, 2)
    await consumer.perform_seek()
    assert thread.begun == [THERE, THERE]
    await deliver(consumer, THERE, 0, 2)
    assert handed.offsets == [0, 1, 0, 1]


async def test_records_that_were_read_before_a_seek_are_dropped_and_read_again(
    consumer: ChunkConsumer, handed: Handed
) -> None:
    await deliver(consumer, HERE, 20, 3, age=1)
    assert handed == []
    assert consumer._must_rewind


async def test_a_changelog_is_not_dropped_for_a_seek_of_the_streams(
    consumer: ChunkConsumer, handed: Handed
) -> None:
    await deliver(consumer, CHANGELOG, 0, 3, age=1)
    assert handed.offsets == [0, 1, 2]
    assert not consumer._must_rewind


async def test_a_changelog_that_was_dropped_with_an_old_assignment_is_read_again(
    consumer: ChunkConsumer, handed: Handed, thread: Thread
) -> None:
    """Recovery waits for it: it was read from where recovery had sought already."""
    recovery = consumer.app.tables.recovery
    thread.committed[CHANGELOG] = None
    recovery.active_tps.update({CHANGELOG, GONE})
    recovery.active_offsets.update({CHANGELOG: 41, GONE: 3})
    recovery.in_recovery = True
    generation = consumer.app.consumer_generation_id - 1
    fetched = {CHANGELOG: records(41, 3)}
    await consumer._deliver(fetched, None, consumer._epoch, generation)
    assert handed == []
    assert consumer._must_rewind
    await consumer._rewind()
    assert thread.sought == {CHANGELOG: 41}
    assert not consumer._must_rewind


async def test_nothing_is_read_before_positions_are_taken_back(
    consumer: ChunkConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flow is suspended while partitions come and go; what comes then lies behind a gap."""
    consumer._must_rewind = True
    consumer.stop_flow()
    steps: list[str] = []

    async def fetch(_: float) -> tuple[dict[Any, Any], None]:
        steps.append("fetch")
        consumer._stopped.set()
        return {}, None

    async def rewind() -> None:
        steps.append("rewind")
        consumer._must_rewind = False

    monkeypatch.setattr(consumer, "_wait_next_records", fetch)
    monkeypatch.setattr(consumer, "_rewind", rewind)
    monkeypatch.setattr(consumer._thread, "let_gather", lambda _: None, raising=False)
    draining = asyncio.create_task(consumer._drain_messages(consumer))
    for _ in range(10):
        await asyncio.sleep(0)
    assert steps == []
    consumer.resume_flow()
    async with asyncio.timeout(5):
        await draining
    assert steps == ["rewind", "fetch"]


async def test_what_was_handed_out_is_void_after_a_seek_and_never_committed(
    consumer: ChunkConsumer, handed: Handed, thread: Thread
) -> None:
    await deliver(consumer, HERE, 7, 3)
    await consumer.perform_seek()
    assert handed[0].is_void
    consumer.ack(handed[0])
    assert not await consumer.force_commit()
    assert thread.taken == []


async def test_nothing_is_delivered_until_positions_are_taken_back(
    consumer: ChunkConsumer, thread: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.consumer.consumer.REWIND_RETRY_S", 0.0)
    thread.is_away = True
    await consumer._rewind()
    assert consumer._must_rewind
    thread.is_away = False
    await consumer._rewind()
    assert not consumer._must_rewind


async def test_a_commit_that_the_broker_did_not_take_is_tried_again(
    consumer: ChunkConsumer, handed: Handed, thread: Thread
) -> None:
    await deliver(consumer, HERE, 7, 6)
    consumer.ack(handed[1])
    assert not await consumer.force_commit()
    consumer.ack(handed[0])
    thread.is_away = True
    assert not await consumer.force_commit()
    thread.is_away = False
    assert await consumer.force_commit()
    assert thread.taken == [{HERE: 13}]
    assert not await consumer.force_commit()


async def test_a_log_that_was_made_anew_halts(consumer: ChunkConsumer) -> None:
    with pytest.raises(StopWorkerError, match="another log"):
        await deliver(consumer, HERE, 0, 3)


async def test_work_that_never_ends_does_not_hold_the_stop(consumer: ChunkConsumer) -> None:
    consumer._progress[HERE] = Progress(7)
    await deliver(consumer, HERE, 7, 3)
    running = Chunk("events", 0, 9, 0.0, 0, (), None, b"", None, tp=HERE)
    consumer._unacked_messages.add(running)
    started_s = time.monotonic()
    await consumer.wait_empty()
    assert time.monotonic() - started_s < 1


async def test_room_in_a_queue_wakes_a_reader_that_every_agent_held_back(
    consumer: ChunkConsumer,
) -> None:
    consumer._active_partitions = {HERE}
    consumer.on_buffer_full(HERE)
    waiting = asyncio.create_task(consumer._wait_next_records(30.0))
    await asyncio.sleep(0)
    started_s = time.monotonic()
    consumer.on_buffer_drop(HERE)
    assert await waiting == ({}, {HERE})
    assert time.monotonic() - started_s < 0.5


async def test_queues_are_short_enough_for_chunks(consumer: ChunkConsumer) -> None:
    assert consumer.app.conf.stream_buffer_maxsize <= 32


async def test_a_group_that_begins_at_the_end_is_refused() -> None:
    app = faust.App("unit", consumer_auto_offset_reset="latest", web_enabled=False)
    with pytest.raises(ValueError, match="from the beginning"):
        install_transport(app)
