"""Equal requests in flight are answered once: players open the same license many times over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """One answer per key for everybody who asks while it is being made."""

    def __init__(self, on_shared: Callable[[], None]) -> None:
        self._on_shared = on_shared
        self._in_flight: dict[Hashable, asyncio.Task[T]] = {}

    async def run(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """What `make` gives or raises; who goes away stops nobody else's waiting."""
        task = self._in_flight.get(key)
        if task is None:
            task = asyncio.create_task(_started(make))
            self._in_flight[key] = task
            task.add_done_callback(lambda _: self._in_flight.pop(key, None))
        else:
            self._on_shared()
        return await asyncio.shield(task)


async def _started(make: Callable[[], Awaitable[T]]) -> T:
    return await make()
