"""Work that goes on beside requests and that nobody waits for: bounded, finished at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

PENDING_MAX: Final = 2_000


class Beside:
    """One per gateway. What is started here handles its own errors."""

    def __init__(self, pending_max: int = PENDING_MAX) -> None:
        self._pending_max = pending_max
        self._pending: set[asyncio.Task[Any]] = set()

    def has_room(self) -> bool:
        """Whether one more may be started; asked first by who must know."""
        return len(self._pending) < self._pending_max

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any] | None:
        """The task, or None where too much is pending: then the work is not done."""
        if not self.has_room():
            work.close()
            return None
        task = asyncio.create_task(work)
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)
        return task

    @staticmethod
    async def wait(work: asyncio.Task[Any], timeout_s: float) -> None:
        """Returns when it is done, or goes on without this one: `asyncio.wait` at half its cost."""
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()

        def wake(_: object) -> None:
            if not waiter.done():
                waiter.set_result(None)

        work.add_done_callback(wake)
        timer = loop.call_later(timeout_s, wake, None)
        try:
            await waiter
        finally:
            timer.cancel()
            work.remove_done_callback(wake)

    async def finish(self) -> None:
        """Returns when all of it is done."""
        await asyncio.gather(*self._pending, return_exceptions=True)

    def __len__(self) -> int:
        return len(self._pending)
