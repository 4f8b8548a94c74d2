"""The Faust shell that every agent runs in: read, decide in order, act concurrently, acknowledge.

Faust acknowledges a record whose handler raised, so no handler may raise into it: this is the
only place among the agents that catches every exception. What was delivered is acknowledged in
log order, once all work that it caused is done: a record, or a chunk of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import faust

from schemas.errors import InvalidMessageError, RetryableError, StopWorkerError, UnknownTypeError
from schemas.secrets import SecretBytes
from streams.broker import Broker
from streams.clock import Clock
from streams.consumer.chunk import Chunk, records_in
from streams.consumer.transport import hand_out_in_chunks
from streams.dead_letter_limit import DeadLetterLimit
from streams.dead_letters import publish_dead_letter
from streams.metrics import WorkerMetrics
from streams.producer import Publisher
from streams.reader import RecordReader
from streams.records import FetchedRecord, Record
from streams.topic import Topic

T = TypeVar("T")
log = logging.getLogger(__name__)

Work = Coroutine[Any, Any, None]
Handler = Callable[[Record[T]], Work | None]
"""Called in log order per partition. It decides and changes state at once, without waiting; what
it returns publishes and replies, concurrently with that of other records."""
Settle = Callable[[], Work | None]
"""Called right after the decisions on what was delivered together, a chunk or a record, with
nothing in between: what it returns is work of all of these."""


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


@dataclass(slots=True)
class _InFlight:
    """What was delivered together: acknowledged after its own work and what came before it."""

    event: Any
    count: int
    oldest_ms: int
    outstanding: int


@dataclass(slots=True)
class _Lane:
    """One partition's deliveries in log order."""

    deliveries: deque[_InFlight] = field(default_factory=deque)


class _Room:
    """So many records may be at work at once."""

    def __init__(self, records_max: int) -> None:
        self._records_max = records_max
        self._taken = 0
        self._freed = asyncio.Event()

    async def take(self, records: int) -> None:
        """Wait for room; what alone is too much has it once there is nothing else."""
        while self._taken and self._taken + records > self._records_max:
            self._freed.clear()
            await self._freed.wait()
        self._taken += records

    def give(self, records: int) -> None:
        """They are done."""
        self._taken -= records
        self._freed.set()


def serve(
    app: faust.App,
    topic: Topic,
    handle: Handler[Any],
    ports: ShellPorts,
    *,
    concurrency: int = 256,
    chunked: bool = False,
    settle: Settle | None = None,
) -> None:
    """Let `handle` take every record of the topic.

    InvalidMessageError, and any unforeseen exception, sends the record to the dead-letter topic,
    up to a limit; an unknown type is skipped and counted; RetryableError and StopWorkerError halt
    the process, because state may be ahead of the log, and so does whatever `settle` raises.
    `concurrency` bounds the records at work. `chunked`: for volume, where some hundred records
    may be decided without a pause, and come again together.
    """
    physical = ports.broker.physical(topic.name)
    channel = app.topic(
        physical,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
    )
    if chunked:
        hand_out_in_chunks(app, physical)
    runner = _Runner(topic, handle, settle, ports, app.conf.id, concurrency)

    async def run(stream: Any) -> None:
        manual = stream.noack()
        async for event in manual.events():
            await runner.take(manual, event)

    app.agent(channel, name=f"{app.conf.id}-{topic.name}")(run)


class _Runner:
    """Runs one topic's handler."""

    def __init__(
        self,
        topic: Topic,
        handle: Handler[Any],
        settle: Settle | None,
        ports: ShellPorts,
        agent: str,
        concurrency: int,
    ) -> None:
        self._topic = topic
        self._handle = handle
        self._settle = settle
        self._ports = ports
        self._agent = agent
        self._reader = RecordReader(topic, state_key=ports.state_key)
        self._limit = DeadLetterLimit(ports.clock)
        self._room = _Room(concurrency)
        self._lanes: dict[tuple[Any, int], _Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def take(self, stream: Any, event: Any) -> None:
        """Decide now, without a pause; act in the background while a slot is free."""
        message = event.message
        if isinstance(message, Chunk) and message.is_void:
            await stream.ack(event)  # moves nothing; its records come again
            return
        records = records_in(message)
        works = self._decide_all(records)
        entry = _InFlight(event, len(records), records[0].timestamp, len(works))
        lane = self._lane((message.tp, message.generation_id))
        lane.deliveries.append(entry)
        if isinstance(message, Chunk):
            message.records = ()  # only those with work are still needed
        if not works:
            await self._finish(stream, lane)
        for work, size in works:
            await self._room.take(size)
            task = asyncio.create_task(self._act(stream, lane, entry, work, size))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _lane(self, place: tuple[Any, int]) -> _Lane:
        lane = self._lanes.get(place)
        if lane is None:  # after a rebalance: the ones before it are done sooner or later
            self._lanes = {name: lane for name, lane in self._lanes.items() if lane.deliveries}
            lane = self._lanes[place] = _Lane()
        return lane

    def _decide_all(self, records: Sequence[FetchedRecord]) -> list[tuple[Work, int]]:
        """The works, and of how many records each is."""
        self._limit.count_records(len(records))
        works: list[tuple[Work, int]] = []
        try:
            for raw in records:
                work = self._decide(raw)
                if work is not None:
                    works.append((work, 1))
            if self._settle is not None and (last := self._settle()) is not None:
                works.append((last, len(records)))
        except Exception as error:
            for work, _ in works:
                work.close()
            self._ports.halt(error)
            raise
        return works

    def _decide(self, raw: FetchedRecord) -> Work | None:
        try:
            work = self._handle(self._reader.read(raw))
        except UnknownTypeError:
            self._ports.metrics.unknown_types.labels(self._topic.name).inc()
            return None
        except InvalidMessageError as error:
            return self._bury(raw, error)
        except (RetryableError, StopWorkerError):
            raise
        except Exception as error:
            log.exception("%s could not decide on a record", self._topic.name)
            return self._bury(raw, InvalidMessageError("handler-failed", repr(error)))
        return None if work is None else self._run(raw, work)

    async def _act(self, stream: Any, lane: _Lane, entry: _InFlight, work: Work, size: int) -> None:
        try:
            await work
            entry.outstanding -= 1
            await self._finish(stream, lane)
        except Exception as error:
            log.critical("%s halts: %s", self._topic.name, error)
            self._ports.halt(error)
        finally:
            self._room.give(size)

    async def _run(self, raw: FetchedRecord, work: Work) -> None:
        try:
            await work
        except InvalidMessageError as error:
            await self._bury(raw, error)
        except (RetryableError, StopWorkerError):
            raise
        except Exception as error:
            log.exception("%s could not finish a record", self._topic.name)
            await self._bury(raw, InvalidMessageError("handler-failed", repr(error)))

    def _bury(self, raw: FetchedRecord, error: InvalidMessageError) -> Work:
        """Raises StopWorkerError where too many are buried: then this one is not."""
        self._limit.count_letter(self._topic.name, error.reason)
        log.warning(
            "%s partition %d offset %d goes to dead letters: %s",
            self._topic.name,
            raw.partition,
            raw.offset,
            error,
        )
        self._ports.metrics.dead_letters.labels(self._topic.name, error.reason).inc()
        return publish_dead_letter(
            self._ports.publisher,
            self._topic,
            raw,
            error,
            failed_at_ms=self._ports.clock(),
            agent=self._agent,
        )

    async def _finish(self, stream: Any, lane: _Lane) -> None:
        while lane.deliveries and lane.deliveries[0].outstanding == 0:
            entry = lane.deliveries.popleft()
            self._ports.metrics.records.labels(self._topic.name).inc(entry.count)
            delay_ms = max(0, self._ports.clock() - entry.oldest_ms)
            self._ports.metrics.handle_seconds.labels(self._topic.name).observe(delay_ms / 1000)
            await stream.ack(entry.event)
