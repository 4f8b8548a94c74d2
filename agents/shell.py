"""The Faust shell that every agent runs in: read, decide in order, act concurrently, acknowledge.

Faust acknowledges a record whose handler raised, so no handler may raise into it: this is the
only place among the agents that catches every exception. Records are acknowledged in log order,
each after its own work is done, because Faust commits past gaps.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

import faust

from schemas.errors import InvalidMessageError, RetryableError, StopWorkerError, UnknownTypeError
from schemas.secrets import SecretBytes
from streams.broker import Broker
from streams.clock import Clock
from streams.dead_letters import publish_dead_letter
from streams.metrics import WorkerMetrics
from streams.producer import Publisher
from streams.reader import RecordReader
from streams.records import Record
from streams.topics import Topic

T = TypeVar("T")
log = logging.getLogger(__name__)

Work = Coroutine[Any, Any, None]
Handler = Callable[[Record[T]], Work | None]
"""Called in log order per partition. It decides and changes state at once, without waiting; what
it returns publishes and replies, concurrently with that of other records."""


class Agent(Protocol):
    """What a worker process runs."""

    name: str

    async def start(self) -> None:
        """Read the views and restore the state; called before the first record."""

    def attach(self, app: faust.App) -> None:
        """Say which topics are handled how, by `serve`."""

    async def stop(self) -> None:
        """Let go of what `start` opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellPorts:
    """What the shell needs of the world."""

    broker: Broker
    publisher: Publisher
    clock: Clock
    metrics: WorkerMetrics
    halt: Callable[[BaseException], None]
    """Ends the process; started again, it reads the log from its last commit."""
    state_key: SecretBytes | None = None


class _Raw(NamedTuple):
    """A Faust message as the reader wants it."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Any


@dataclass(slots=True)
class _InFlight:
    """A record whose acknowledgment waits for its own work and for those before it."""

    event: Any
    is_done: bool = False


@dataclass(slots=True)
class _Lane:
    """One partition's records in log order."""

    records: deque[_InFlight] = field(default_factory=deque)


def serve(
    app: faust.App,
    topic: Topic,
    handle: Handler[Any],
    ports: ShellPorts,
    *,
    concurrency: int = 256,
) -> None:
    """Let `handle` take every record of the topic.

    InvalidMessageError, and any unforeseen exception, sends the record to the dead-letter topic;
    an unknown type is skipped and counted; RetryableError and StopWorkerError halt the process,
    because state may be ahead of the log.
    """
    channel = app.topic(
        ports.broker.physical(topic.name),
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
    )
    runner = _Runner(topic, handle, ports, app.conf.id, concurrency)

    async def run(stream: Any) -> None:
        manual = stream.noack()
        async for event in manual.events():
            await runner.take(manual, event)

    app.agent(channel, name=f"{app.conf.id}-{topic.name}")(run)


class _Runner:
    """Runs one topic's handler."""

    def __init__(
        self, topic: Topic, handle: Handler[Any], ports: ShellPorts, agent: str, concurrency: int
    ) -> None:
        self._topic = topic
        self._handle = handle
        self._ports = ports
        self._agent = agent
        self._reader = RecordReader(topic, state_key=ports.state_key)
        self._slots = asyncio.Semaphore(concurrency)
        self._lanes: dict[tuple[Any, int], _Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def take(self, stream: Any, event: Any) -> None:
        """Decide now; act in the background while a slot is free."""
        message = event.message
        raw = _Raw(
            message.partition,
            message.offset,
            round(message.timestamp * 1000),
            message.key,
            message.value,
            message.headers,
        )
        lane = self._lanes.setdefault((message.tp, message.generation_id), _Lane())
        entry = _InFlight(event)
        lane.records.append(entry)
        work = self._decide(raw)
        if work is None:
            await self._finish(stream, lane, entry, raw)
            return
        await self._slots.acquire()
        task = asyncio.create_task(self._act(stream, lane, entry, raw, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _decide(self, raw: _Raw) -> Work | None:
        try:
            return self._handle(self._reader.read(raw))
        except UnknownTypeError:
            self._ports.metrics.unknown_types.labels(self._topic.name).inc()
            return None
        except InvalidMessageError as error:
            return self._bury(raw, error)
        except (RetryableError, StopWorkerError) as error:
            self._ports.halt(error)
            raise
        except Exception as error:
            log.exception("%s could not decide on a record", self._topic.name)
            return self._bury(raw, InvalidMessageError("handler-failed", repr(error)))

    async def _act(self, stream: Any, lane: _Lane, entry: _InFlight, raw: _Raw, work: Work) -> None:
        try:
            await self._run(raw, work)
            await self._finish(stream, lane, entry, raw)
        except Exception as error:
            log.critical("%s halts: %s", self._topic.name, error)
            self._ports.halt(error)
        finally:
            self._slots.release()

    async def _run(self, raw: _Raw, work: Work) -> None:
        try:
            await work
        except InvalidMessageError as error:
            await self._bury(raw, error)
        except (RetryableError, StopWorkerError):
            raise
        except Exception as error:
            log.exception("%s could not finish a record", self._topic.name)
            await self._bury(raw, InvalidMessageError("handler-failed", repr(error)))

    async def _bury(self, raw: _Raw, error: InvalidMessageError) -> None:
        log.warning(
            "%s partition %d offset %d goes to dead letters: %s",
            self._topic.name,
            raw.partition,
            raw.offset,
            error,
        )
        self._ports.metrics.dead_letters.labels(self._topic.name, error.reason).inc()
        await publish_dead_letter(
            self._ports.publisher,
            self._topic,
            raw,
            error,
            failed_at_ms=self._ports.clock(),
            agent=self._agent,
        )

    async def _finish(self, stream: Any, lane: _Lane, entry: _InFlight, raw: _Raw) -> None:
        entry.is_done = True
        metrics = self._ports.metrics
        metrics.records.labels(self._topic.name).inc()
        delay_ms = max(0, self._ports.clock() - raw.timestamp)
        metrics.handle_seconds.labels(self._topic.name).observe(delay_ms / 1000)
        while lane.records and lane.records[0].is_done:
            await stream.ack(lane.records.popleft().event)
