"""A worker that counts records by key, for tests that kill it: the product's shell and table."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import faust
import msgspec
from prometheus_client import CollectorRegistry

from agents.shell import ShellPorts, Work, serve
from infra.event_loop import run_process
from infra.worker import WorkerPlan, halt, run_worker
from schemas.errors import RetryableError
from streams.broker import Broker
from streams.clock import system_clock
from streams.metrics import WorkerMetrics
from streams.producer import Publisher
from streams.records import Record
from streams.tables.changelog import KafkaChangelog
from streams.tables.stores import MemoryStore, rocks_stores
from streams.tables.table import ChunkTable, changelog_of
from streams.topic import Family, Topic

WORKER = "counting"
COUNTED = Topic(
    name="counted.v1",
    carries="numbers, by key",
    key="key",
    value=bytes,
    family=Family.SESSION,
    writer="test",
    readers=(WORKER,),
    retention_ms=None,
    has_dead_letters=True,
)
CHANGELOG = changelog_of(WORKER, "counts", Family.SESSION)


class Counting(msgspec.Struct, frozen=True):
    """What a worker process is told."""

    bootstrap: str
    namespace: str
    folder: str
    instance: str = "1"
    chunked: bool = True
    store: str = "rocksdb"
    poison: str = ""
    """A record of this value makes the handler raise: `away` a RetryableError, others any error."""


class CountingAgent:
    """Counts; an acknowledgment waits until the counts are in the changelog."""

    name = WORKER

    def __init__(self, ports: ShellPorts, told: Counting) -> None:
        self._ports = ports
        self._told = told
        self._touched: set[int] = set()

    async def start(self) -> None:
        """Nothing is read before the records."""

    def attach(self, app: faust.App) -> None:
        told, physical = self._told, self._ports.broker.physical(CHANGELOG.name)
        folder = Path(told.folder) / "table"
        self._table: ChunkTable[int] = ChunkTable(
            app,
            name="counts",
            value_type=int,
            sources=(COUNTED,),
            open_store=rocks_stores(folder) if told.store == "rocksdb" else MemoryStore,
            changelog=KafkaChangelog(self._ports.broker, physical, client_id=WORKER),
        )
        serve(app, COUNTED, self.handle, self._ports, chunked=told.chunked, settle=self.settle)

    async def stop(self) -> None:
        """Nothing is open."""

    def handle(self, record: Record[bytes]) -> None:
        if self._told.poison and record.value.decode() == self._told.poison:
            if self._told.poison.startswith("away"):
                raise RetryableError("the world is away")
            raise ZeroDivisionError("a bug")
        self._table.apply(record, lambda count: (count or 0) + 1)
        self._touched.add(record.partition)

    def settle(self) -> Work:
        touched, self._touched = self._touched, set()
        return self._flush(touched)

    async def _flush(self, partitions: set[int]) -> None:
        for partition in partitions:
            await self._table.partition(partition).flush()


async def run(told: Counting) -> None:
    """Until SIGTERM."""
    broker = Broker(bootstrap=told.bootstrap, namespace=told.namespace)
    folder = Path(told.folder)
    publisher = Publisher(broker, client_id=WORKER)
    await publisher.start()
    registry = CollectorRegistry()
    ports = ShellPorts(
        broker=broker,
        publisher=publisher,
        clock=system_clock,
        metrics=WorkerMetrics(registry),
        halt=halt,
    )
    plan = WorkerPlan(
        name=WORKER,
        broker=broker,
        data_folder=folder,
        announce=folder / "announce.json",
        instance=told.instance,
    )
    try:
        await run_worker(plan, CountingAgent(ports, told), publisher, registry)
    finally:
        await publisher.stop()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    run_process(run(msgspec.json.decode(sys.argv[1], type=Counting)))
