"""Finds a worker that stands still while records wait for it: Faust may stop without a word.

A commit that failed while the broker was away can leave Faust reading on and never committing
again; a handler may wait for ever. Started again, the worker reads on from its last commit.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol, runtime_checkable

import faust
import msgspec
from aiokafka.errors import KafkaError

from schemas.errors import StopWorkerError

STUCK_AFTER_S: Final = 90.0
"""Longer than an agent waits for a broker that is away, which ends the process by itself."""
LOOK_INTERVAL_S: Final = 10.0
ANSWER_TIMEOUT_S: Final = 10.0

Partition = Any
"""Faust's TP, or aiokafka's."""
Offsets = tuple[Mapping[Partition, int], Mapping[Partition, int]]
"""What is committed, and the ends, of the partitions that the worker has now."""


@runtime_checkable
class OwnReader(Protocol):
    """An agent that reads the log itself instead of through Faust."""

    async def offsets(self) -> Offsets:
        """Raises KafkaError where the broker does not answer."""

    async def is_unhindered(self) -> bool:
        """Whether everything but the log that it needs answers."""


class _Seen(msgspec.Struct, frozen=True):
    """A partition when its commit was last seen to move, or to need no move."""

    committed_offset: int
    first_end: int
    """The end at the first look: what lay below may be gone, and then nobody commits it."""
    since_s: float


class Standstill:
    """Judges partitions by their committed offsets and their ends, look by look."""

    def __init__(self, stuck_after_s: float) -> None:
        self._stuck_after_s = stuck_after_s
        self._seen: dict[Partition, _Seen] = {}

    def judge(
        self, committed: Mapping[Partition, int], ends: Mapping[Partition, int], now_s: float
    ) -> list[Partition]:
        """The partitions where records came and no commit has moved for too long."""
        self._seen = {
            partition: self._look(partition, committed.get(partition, 0), end, now_s)
            for partition, end in ends.items()
        }
        return [p for p, seen in self._seen.items() if now_s - seen.since_s >= self._stuck_after_s]

    def excuse(self, now_s: float) -> None:
        """Nobody could do anything: everybody gets the whole time again."""
        self._seen = {
            partition: msgspec.structs.replace(seen, since_s=now_s)
            for partition, seen in self._seen.items()
        }

    def _look(self, partition: Partition, offset: int, end: int, now_s: float) -> _Seen:
        seen = self._seen.get(partition)
        if seen is None:
            return _Seen(offset, end, now_s)
        if offset != seen.committed_offset or end <= max(offset, seen.first_end):
            return _Seen(offset, seen.first_end, now_s)
        return seen


async def watch_progress(
    offsets: Callable[[], Awaitable[Offsets]],
    is_unhindered: Callable[[], Awaitable[bool]],
    halt: Callable[[BaseException], None],
    *,
    stuck_after_s: float = STUCK_AFTER_S,
    interval_s: float = LOOK_INTERVAL_S,
) -> None:
    """Halt the worker where it stands still or its consumer is silent; runs until cancelled.

    While something is away that it needs (`is_unhindered`), nothing is held against it.
    """
    standstill = Standstill(stuck_after_s)
    answered_at_s = time.monotonic()
    while True:
        await asyncio.sleep(interval_s)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                committed, ends = await offsets()
        except (KafkaError, TimeoutError):
            stuck: list[Partition] = []
        else:
            answered_at_s = time.monotonic()
            stuck = standstill.judge(committed, ends, answered_at_s)
        now_s = time.monotonic()
        is_silent = now_s - answered_at_s >= stuck_after_s
        if not (stuck or is_silent):
            continue
        if not await is_unhindered():
            standstill.excuse(now_s)
            answered_at_s = now_s
        elif stuck:
            halt(StopWorkerError(f"records wait and nothing is committed: {sorted(stuck)}"))
        else:
            halt(StopWorkerError("the consumer does not answer"))


async def faust_offsets(app: faust.App) -> Offsets:
    """What the app's consumer has committed, and the ends, of the partitions that it has."""
    consumer: Any = app.consumer
    partitions = consumer.assignment()
    if not partitions:
        return {}, {}
    ends = dict(await consumer.highwaters(*partitions))
    # Faust offers no other way to what it has committed; a test holds the name.
    committed = {p: consumer._committed_offset[p] or 0 for p in partitions}  # noqa: SLF001
    return committed, ends
