"""Objects from storage, small ones kept in memory by their path alone: no query, no session."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator

from infra.content.storage import Storage

CACHED_OBJECT_BYTES_MAX = 4 << 20
READ_BYTES = 1 << 20


class ObjectCache:
    """Least recently used objects, bounded in bytes. Titles' files never change, so none expire."""

    def __init__(self, storage: Storage, bytes_max: int) -> None:
        self._storage = storage
        self._bytes_max = bytes_max
        self._cached: OrderedDict[str, bytes] = OrderedDict()
        self._reading: dict[str, asyncio.Task[bytes]] = {}
        self.cached_bytes = 0
        self.hit_count = 0
        self.miss_count = 0

    async def size_bytes(self, path: str) -> int:
        """FileNotFoundError where storage has no such object."""
        if path in self._cached:
            return len(self._cached[path])
        return await asyncio.to_thread(self._storage.size_bytes, path)

    async def read(self, path: str, start: int, end: int, size_bytes: int) -> AsyncIterator[bytes]:
        """The bytes from start up to, without, end, of an object of this size."""
        if size_bytes <= CACHED_OBJECT_BYTES_MAX:
            yield (await self._whole(path))[start:end]
            return
        for first in range(start, end, READ_BYTES):
            last = min(end, first + READ_BYTES)
            yield await asyncio.to_thread(self._storage.read, path, first, last)

    async def _whole(self, path: str) -> bytes:
        data = self._cached.get(path)
        if data is not None:
            self.hit_count += 1
            self._cached.move_to_end(path)
            return data
        self.miss_count += 1
        # Viewers of one title ask for the same segment at the same time: one read serves them.
        reading = self._reading.get(path)
        if reading is None:
            reading = asyncio.create_task(asyncio.to_thread(self._storage.read, path))
            self._reading[path] = reading
            reading.add_done_callback(lambda _: self._reading.pop(path))
        data = await asyncio.shield(reading)
        self._keep(path, data)
        return data

    def _keep(self, path: str, data: bytes) -> None:
        if path in self._cached or len(data) > self._bytes_max:
            return
        self._cached[path] = data
        self.cached_bytes += len(data)
        while self.cached_bytes > self._bytes_max:
            self.cached_bytes -= len(self._cached.popitem(last=False)[1])
