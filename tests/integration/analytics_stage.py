"""A stage for analytics: a real broker, a real engine with its migrations, and a sink."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from agents.analytics.chunks import ChunkLimits
from agents.analytics.sink import Sink, SinkLimits
from agents.analytics.store import Store, parse_store_url
from agents.shell import ShellPorts
from infra.bench.processes import resident_bytes
from infra.clickhouse.client import open_client, parse_url
from infra.clickhouse.migrate import migrate_up
from infra.clickhouse.writer import writer_url
from schemas import codec
from schemas.events import Event
from schemas.ids import uuid7
from schemas.secrets import SecretBytes
from streams.admin import apply_topics
from streams.broker import Broker
from streams.clock import system_clock
from streams.metrics import WorkerMetrics
from streams.producer import Publisher
from streams.topic import Topic
from streams.topics import (
    EXPERIMENTS,
    GATEWAY_LEDGER,
    PLAYBACK_BANDWIDTH,
    PLAYBACK_EVENTS,
    SESSION_SUMMARIES,
    STEERING_DECISIONS,
    WATCHES,
)
from tests.integration.engine import RunningClickHouse, start_clickhouse

STATE_KEY = SecretBytes(b"s" * 32)
QUICK = SinkLimits(chunks=ChunkLimits(bucket_ms=200, grace_ms=50), bucket_ms_max=200)
STAGED = (
    PLAYBACK_EVENTS,
    PLAYBACK_BANDWIDTH,
    SESSION_SUMMARIES,
    WATCHES,
    STEERING_DECISIONS,
    GATEWAY_LEDGER,
    EXPERIMENTS,
)
"""Some of each kind: all of them are hundreds of partitions."""
PROJECT = Path(__file__).parents[2]


def a_session_id(at_ms: int | None = None) -> str:
    return str(uuid7(at_ms or system_clock(), secrets.token_bytes(10)))


class Stage:
    """Broker and engine, each test under its own namespace and database."""

    def __init__(self, broker: Broker, engine: RunningClickHouse, topics: Sequence[Topic]) -> None:
        self.broker = broker
        self.topics = topics
        self.engine = engine
        self.publisher = Publisher(
            broker, client_id="test", state_key=STATE_KEY, delivery_timeout_ms=60_000
        )
        self.halted: list[BaseException] = []

    @property
    def url(self) -> str:
        engine = self.engine
        return writer_url(engine.host, engine.port, engine.writer_password, self.broker.namespace)

    async def start(self) -> None:
        await apply_topics(self.broker, topics=self.topics)
        await self.publisher.start()
        await asyncio.to_thread(self._migrate)
        self.store = Store(parse_store_url(self.url))
        await self.store.start()

    async def stop(self) -> None:
        await self.store.stop()
        await self.publisher.stop()

    def _migrate(self) -> None:
        client = open_client(parse_url(self.url), with_database=False)
        try:
            migrate_up(client, self.broker.namespace)
        finally:
            client.close()

    def ports(self) -> ShellPorts:
        return ShellPorts(
            broker=self.broker,
            publisher=self.publisher,
            clock=system_clock,
            metrics=WorkerMetrics(CollectorRegistry()),
            halt=self.halted.append,
            state_key=STATE_KEY,
        )

    @asynccontextmanager
    async def sinking(
        self,
        limits: SinkLimits = QUICK,
        topics: Iterable[Topic] | None = None,
        instance: str = "1",
    ) -> AsyncIterator[Sink]:
        sink = Sink(
            self.ports(),
            self.store,
            instance=instance,
            limits=limits,
            topics=topics or self.topics,
        )
        await sink.start()
        try:
            yield sink
        finally:
            await sink.stop()

    async def send(self, *events: Event, topic: Topic | None = None) -> None:
        """Publish events as the gateway does."""
        for chosen in (PLAYBACK_EVENTS, PLAYBACK_BANDWIDTH):
            rows = [
                (event.session_id, codec.encode(event))
                for event in events
                if (topic or _topic_of(event)) is chosen
            ]
            await self.publisher.publish_many(chosen, rows)

    async def ask(self, sql: str) -> list[list[Any]]:
        return await self.store.query(sql)

    async def one(self, sql: str) -> Any:
        rows = await self.ask(sql)
        return rows[0][0]

    async def until(self, sql: str, expected: Any, timeout_s: float = 40) -> None:
        """Wait until the query's single value is the expected one."""

        async def is_there() -> bool:
            return bool(await self.one(sql) == expected)

        try:
            await eventually(is_there, timeout_s)
        except TimeoutError:
            raise AssertionError(f"{sql}: {await self.one(sql)}, not {expected}") from None


def _topic_of(event: Event) -> Topic:
    is_measurement = event.__struct_config__.tag == "bandwidth"
    return PLAYBACK_BANDWIDTH if is_measurement else PLAYBACK_EVENTS


async def eventually(condition: Callable[[], Awaitable[bool]], timeout_s: float) -> None:
    async with asyncio.timeout(timeout_s):
        while not await condition():  # noqa: ASYNC110 - an answer of ClickHouse is no event
            await asyncio.sleep(0.1)


@asynccontextmanager
async def a_stage(
    broker: Broker, engine: RunningClickHouse, topics: Sequence[Topic] = STAGED
) -> AsyncIterator[Stage]:
    stage = Stage(broker, engine, topics)
    await stage.start()
    try:
        yield stage
    finally:
        await stage.stop()


@asynccontextmanager
async def a_killable_stage(broker: Broker, home: Path) -> AsyncIterator[Stage]:
    """With an engine of its own, which a test may kill, and put another in the place of."""
    async with a_stage(broker, await start_clickhouse(home)) as stage:
        try:
            yield stage
        finally:
            if stage.engine.process.returncode is None:
                await stage.engine.stop(signal.SIGKILL)


@asynccontextmanager
async def an_engine(home: Path) -> AsyncIterator[RunningClickHouse]:
    engine = await start_clickhouse(home)
    try:
        yield engine
    finally:
        await engine.stop()


class SinkProcess:
    """A sink in a process of its own, to be killed."""

    def __init__(
        self,
        stage: Stage,
        folder: Path,
        *,
        bucket_ms: int = 200,
        buffer_bytes_max: int = SinkLimits().buffer_bytes_max,
    ) -> None:
        self._argument = json.dumps(
            {
                "bootstrap": stage.broker.bootstrap,
                "namespace": stage.broker.namespace,
                "url": stage.url,
                "bucket_ms": bucket_ms,
                "buffer_bytes_max": buffer_bytes_max,
            }
        )
        self._log = folder / "sink.log"
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.integration.sink_process",
                self._argument,
                cwd=PROJECT,
                env={**os.environ, "PYTHONPATH": str(PROJECT)},
                stdout=log,
                stderr=log,
            )

    def resident_bytes(self) -> int:
        assert self.process is not None
        return resident_bytes(self.process.pid)

    async def kill(self) -> None:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
