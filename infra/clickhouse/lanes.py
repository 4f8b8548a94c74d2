"""Threads for statements: a few that work, and many more that only wait for a slow client.

Readers and writers have a lane each, so that a crowd of one kind leaves the other alone.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

from infra.clickhouse.errors import too_many


class Lane:
    """`slot_count` statements work at a time; a statement that waits for its client gives its slot
    away meanwhile.
    """

    def __init__(
        self, name: str, *, slot_count: int, thread_count: int, queue_seconds_max: float
    ) -> None:
        self.name: Final = name
        self.executor: Final = ThreadPoolExecutor(thread_count, thread_name_prefix=name)
        self._slots = threading.Semaphore(slot_count)
        self._thread_count = thread_count
        self._queue_seconds_max = queue_seconds_max
        self._admitted = 0

    def admit(self) -> None:
        """Counts a statement in, on the event loop. Raises EngineError 202 when every thread is
        taken.
        """
        if self._admitted >= self._thread_count:
            raise too_many(f"Too many simultaneous {self.name} statements")
        self._admitted += 1

    def dismiss(self) -> None:
        """Counts a statement out, on the event loop."""
        assert self._admitted > 0
        self._admitted -= 1

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Waits for a slot, in a worker thread. EngineError 202 when none is free in time."""
        if not self._slots.acquire(timeout=self._queue_seconds_max):
            raise too_many(f"No {self.name} slot got free within {self._queue_seconds_max:g} s")
        try:
            yield
        finally:
            self._slots.release()

    @contextmanager
    def slot_given_away(self) -> Iterator[None]:
        """Inside `slot`: lends it to others while this thread waits for its client."""
        self._slots.release()
        try:
            yield
        finally:
            self._slots.acquire()

    def close(self) -> None:
        """Begins nothing more."""
        self.executor.shutdown(wait=False, cancel_futures=True)
