"""One consumer process of the benchmark: reads a topic to its end and counts events by session.

`python -m infra.bench.counting …` prints what it found as one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from prometheus_client import CollectorRegistry

from agents.shell import ShellPorts, Work, serve
from infra.worker import WorkerPlan, faust_app, halt
from schemas import codec
from schemas.events import PlaybackEvent
from streams.broker import Broker
from streams.clock import system_clock
from streams.consumer.chunk import records_in
from streams.consumer.transport import hand_out_in_chunks
from streams.metrics import WorkerMetrics
from streams.producer import Publisher
from streams.records import Record
from streams.tables.changelog import KafkaChangelog
from streams.tables.stores import MemoryStore, rocks_stores
from streams.tables.table import ChunkTable
from streams.topic import Family, Topic

TABLE: Final = "counts"
KINDS: Final = ("floor", "chunks", "agent", "memory", "rocksdb")
TIMEOUT_S: Final = 300.0
IN_FLIGHT_MAX: Final = 20_000
"""Records: while one flush is under way, more chunks are counted, for the next one."""

TOPIC: Final = Topic(
    name="bench.counting.v1",
    carries="events of the consumer's benchmark",
    key="session_id",
    value=PlaybackEvent,
    family=Family.SESSION,
    writer="bench",
    readers=("bench",),
    retention_ms=3_600_000,
)


def worker_of(kind: str) -> str:
    """Each kind is a consumer group of its own."""
    return f"bench-{kind}"


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What a consumer process found, and what it cost."""

    events: int
    keys: int
    cpu_s: float
    wall_s: float
    ready_s: float
    """From the process's first line to the first event: with a table, its recovery."""


class _Meter:
    """Starts with the first event, ends with the last."""

    def __init__(self, events: int) -> None:
        self._left = events
        self._started_s = time.monotonic()
        self._first: tuple[float, float] | None = None
        self.done = asyncio.Event()

    def begin(self) -> None:
        if self._first is None:
            self._first = time.process_time(), time.monotonic()

    def count(self, events: int) -> None:
        self._left -= events
        if self._left <= 0:
            self.done.set()

    def found(self, events: int, keys: int) -> Counted:
        assert self._first is not None, "nothing came"
        cpu_s, wall_s = self._first
        return Counted(
            events=events,
            keys=keys,
            cpu_s=time.process_time() - cpu_s,
            wall_s=time.monotonic() - wall_s,
            ready_s=wall_s - self._started_s,
        )


async def _floor(broker: Broker, meter: _Meter, counts: Counter[str]) -> None:
    """aiokafka alone: fetched, nothing decoded."""
    consumer = AIOKafkaConsumer(**broker.client_options(), group_id=None)
    await consumer.start()
    physical = broker.physical(TOPIC.name)
    partitions = [TopicPartition(physical, i) for i in range(TOPIC.partitions)]
    consumer.assign(partitions)
    await consumer.seek_to_beginning(*partitions)
    meter.begin()
    while not meter.done.is_set():
        fetched = await consumer.getmany(timeout_ms=500)
        meter.count(sum(map(len, fetched.values())))
    counts["all"] = 1
    await consumer.stop()


def _attach_chunks(app: Any, broker: Broker, meter: _Meter, counts: Counter[str]) -> None:
    """A Faust agent that decodes and counts, nothing else."""
    physical = broker.physical(TOPIC.name)
    channel = app.topic(
        physical,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
    )
    hand_out_in_chunks(app, physical)
    decoder: codec.Decoder[PlaybackEvent] = codec.Decoder(PlaybackEvent)
    decode = decoder.decode

    async def run(stream: Any) -> None:
        manual = stream.noack()
        async for event in manual.events():
            meter.begin()
            records = records_in(event.message)
            for record in records:
                counts[decode(record.value or b"").session_id] += 1
            await manual.ack(event)
            meter.count(len(records))

    app.agent(channel)(run)


def _attach_shell(
    app: Any, broker: Broker, meter: _Meter, counts: Counter[str], table: ChunkTable[int] | None
) -> None:
    """An agent as the product's are: in the shell; with a table, flushed before it is acked."""
    publisher = Publisher(broker, client_id="bench")  # for dead letters, of which there are none
    ports = ShellPorts(
        broker=broker,
        publisher=publisher,
        clock=system_clock,
        metrics=WorkerMetrics(CollectorRegistry()),
        halt=halt,
    )
    touched: dict[int, int] = {}

    def count(record: Record[PlaybackEvent]) -> None:
        touched[record.partition] = touched.get(record.partition, 0) + 1
        if table is None:
            counts[record.key] += 1
        else:
            table.apply(record, _one_more)

    def settle() -> Work:
        meter.begin()
        delivered = dict(touched)
        touched.clear()
        return flush(delivered)

    async def flush(delivered: dict[int, int]) -> None:
        if table is not None:
            for partition in delivered:
                await table.partition(partition).flush()
        meter.count(sum(delivered.values()))

    serve(app, TOPIC, count, ports, concurrency=IN_FLIGHT_MAX, chunked=True, settle=settle)


def _one_more(count: int | None) -> int:
    return (count or 0) + 1


def _table_of(app: Any, broker: Broker, kind: str, folder: Path) -> ChunkTable[int] | None:
    if kind not in {"memory", "rocksdb"}:
        return None
    changelog = f"{app.conf.id}-{TABLE}-changelog"
    return ChunkTable(
        app,
        name=TABLE,
        value_type=int,
        sources=(TOPIC,),
        open_store=MemoryStore if kind == "memory" else rocks_stores(folder / "table"),
        changelog=KafkaChangelog(broker, changelog, client_id=app.conf.id),
    )


async def run(broker: Broker, kind: str, events: int, folder: Path) -> Counted:
    """Count so many events."""
    meter, counts = _Meter(events), Counter[str]()
    if kind == "floor":
        await _floor(broker, meter, counts)
        return meter.found(events, len(counts))
    plan = WorkerPlan(
        name=worker_of(kind), broker=broker, data_folder=folder, announce=folder / "announce.json"
    )
    app = faust_app(plan)
    table = _table_of(app, broker, kind, folder)
    if kind == "chunks":
        _attach_chunks(app, broker, meter, counts)
    else:
        _attach_shell(app, broker, meter, counts, table)
    await app.start()
    async with asyncio.timeout(TIMEOUT_S):
        await meter.done.wait()
    found = meter.found(events, len(counts))
    await app.stop()
    return found


def main() -> None:
    """Read the arguments, count, print."""
    parser = argparse.ArgumentParser(prog="python -m infra.bench.counting")
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("bootstrap")
    parser.add_argument("namespace")
    parser.add_argument("events", type=int)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    broker = Broker(bootstrap=given.bootstrap, namespace=given.namespace)
    found = asyncio.run(run(broker, given.kind, given.events, given.folder))
    print(msgspec.json.encode(found).decode())


if __name__ == "__main__":
    main()
