"""The stage of the consumer's fault tests: a load, workers to kill, and the counts they reached."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from infra.supervisor.child import signal_group, start_child
from streams.admin import apply_topics
from streams.broker import Broker
from streams.producer import Publisher, partition_of
from streams.tables.state import APPLIED_KEY
from tests.integration.counting_worker import CHANGELOG, COUNTED, WORKER, Counting

KEYS = [f"key-{number}" for number in range(200)]


@dataclass
class Stage:
    """One topic, its load, and the workers of its one group."""

    broker: Broker
    folder: Path
    expected: Counter[str] = field(default_factory=Counter)
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    told: Counting = field(init=False)

    def __post_init__(self) -> None:
        self.told = Counting(self.broker.bootstrap, self.broker.namespace, "")

    def start(self, instance: str = "1", **changes: object) -> None:
        """Start a worker, or start it again."""
        folder = self.folder / instance
        folder.mkdir(exist_ok=True)
        told = msgspec.structs.replace(self.told, folder=str(folder), instance=instance, **changes)
        argv = [
            sys.executable,
            "-m",
            "tests.integration.counting_worker",
            msgspec.json.encode(told).decode(),
        ]
        with (folder / "output.log").open("ab") as output:
            self.workers[instance] = start_child(argv, dict(os.environ), output)

    def end(self, number: signal.Signals, instance: str = "1", *, within_s: float = 12) -> int:
        """Signal a worker and wait until it is gone; its exit code."""
        worker = self.workers.pop(instance)
        signal_group(worker.pid, number)
        try:
            return worker.wait(within_s)
        finally:
            signal_group(worker.pid, signal.SIGKILL)
            worker.wait()

    def output(self, instance: str = "1") -> str:
        """Everything that the worker has logged."""
        return (self.folder / instance / "output.log").read_text()

    def announced(self, instance: str = "1") -> bool:
        """Whether the worker is ready."""
        return (self.folder / instance / "announce.json").exists()

    async def publish(self, publisher: Publisher, count: int) -> None:
        """So many records over all keys, each acknowledged."""
        rows = [(key, b"1") for key in itertools.islice(itertools.cycle(KEYS), count)]
        await publisher.publish_many(COUNTED, rows)
        self.expected.update(key for key, _ in rows)

    async def counts(self) -> dict[str, int]:
        """What the changelog says, as a new worker would read it."""
        rows = await self._changelog()
        return {
            key.decode(): msgspec.json.decode(row)[1]
            for _, key, row in rows
            if key != APPLIED_KEY and row is not None
        }

    async def ahead(self) -> dict[int, tuple[int, int]]:
        """Partitions committed further than their changelog has applied: (committed, applied)."""
        committed = await self.committed()
        applied = dict.fromkeys(committed, 0)
        for partition, key, row in await self._changelog():
            if key == APPLIED_KEY and row is not None:
                applied[partition] = msgspec.json.decode(row)[0] + 1
        return {p: (c, applied[p]) for p, c in committed.items() if c > applied[p]}

    async def committed(self) -> dict[int, int]:
        """The group's commits by partition."""
        admin = AIOKafkaAdminClient(**self.broker.client_options())
        await admin.start()
        try:
            offsets = await admin.list_consumer_group_offsets(self.broker.physical(WORKER))
        except GroupCoordinatorNotAvailableError:
            return {}  # a new broker first makes the topic of the commits
        finally:
            await admin.close()
        return {tp.partition: meta.offset for tp, meta in offsets.items() if meta.offset > 0}

    async def until_counted(self, timeout_s: float = 60) -> None:
        """Return once everything is committed; counts are final then."""
        ends: Counter[int] = Counter()
        for key, number in self.expected.items():
            ends[partition_of(key, COUNTED.partitions)] += number
        wanted = dict(ends)

        async def is_counted() -> bool:
            return await self.committed() == wanted

        await until(is_counted, timeout_s)

    async def _changelog(self) -> list[tuple[int, bytes, bytes | None]]:
        consumer = AIOKafkaConsumer(
            **self.broker.client_options(), group_id=None, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            physical = self.broker.physical(CHANGELOG.name)
            partitions = [TopicPartition(physical, i) for i in range(CHANGELOG.partitions)]
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            rows: list[tuple[int, bytes, bytes | None]] = []
            while any([await consumer.position(p) < ends[p] for p in partitions]):
                for partition, records in (await consumer.getmany(timeout_ms=500)).items():
                    rows += [(partition.partition, r.key, r.value) for r in records]
            return rows
        finally:
            await consumer.stop()


@asynccontextmanager
async def a_stage(broker: Broker, folder: Path) -> AsyncIterator[tuple[Stage, Publisher]]:
    """A stage with its topics, without workers; ends what is left of them."""
    await apply_topics(broker, topics=[COUNTED, CHANGELOG])
    publisher = Publisher(broker, client_id="test", delivery_timeout_ms=60_000)
    await publisher.start()
    stage = Stage(broker, folder)
    try:
        yield stage, publisher
    finally:
        for instance in list(stage.workers):
            stage.end(signal.SIGKILL, instance)
        await publisher.stop()


@asynccontextmanager
async def load(stage: Stage, publisher: Publisher, *, per_s: int = 2_000) -> AsyncIterator[None]:
    """Records come in while the body runs."""
    stopping = asyncio.Event()

    async def publish_for_ever() -> None:
        while not stopping.is_set():
            await stage.publish(publisher, per_s // 10)
            await asyncio.sleep(0.1)

    publishing = asyncio.create_task(publish_for_ever())
    try:
        yield
    finally:
        stopping.set()
        await publishing


async def until(condition: Callable[[], Awaitable[bool] | bool], timeout_s: float = 60) -> None:
    """Return once the condition holds."""
    async with asyncio.timeout(timeout_s):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.2)
