"""Reading request bodies within limits and deadlines, unpacked off the event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from pathlib import Path
from typing import Final

from aiohttp import web

from infra.clickhouse.compression import Inflater, body_inflater
from infra.clickhouse.errors import timed_out, too_large
from infra.clickhouse.limits import Limits
from infra.clickhouse.spool import Spool

_HOP_BYTES: Final = 256 << 10
"""What is gathered before it is worth a hop to another thread."""


class BodyReader:
    """Reads bodies for all requests; the executor's threads only compute and write, they wait for
    nobody.
    """

    def __init__(self, executor: Executor, directory: Path, limits: Limits) -> None:
        self._executor = executor
        self._directory = directory
        self._limits = limits

    def spool(self) -> Spool:
        """A new empty Spool: close it."""
        return Spool(
            self._directory,
            memory_bytes_max=self._limits.body_in_memory_bytes_max,
            bytes_max=self._limits.inflated_bytes_max,
        )

    async def read_into(self, spool: Spool, request: web.Request) -> None:
        """Reads the whole body. Raises EngineError: 159 too slow, 223 too large, 354 or 55 not to
        be unpacked.
        """
        inflater = body_inflater(request.headers.get("Content-Encoding", ""))
        limits = self._limits
        if (request.content_length or 0) > limits.body_bytes_max:
            raise too_large(f"The request body is longer than {limits.body_bytes_max} bytes")
        try:
            async with asyncio.timeout(limits.body_seconds_max):
                await self._read(spool, request, inflater)
        except TimeoutError as error:
            raise timed_out("The request body came too slowly") from error
        if inflater is not None:
            inflater.finish()

    async def _read(self, spool: Spool, request: web.Request, inflater: Inflater | None) -> None:
        gathered = bytearray()
        received = 0
        while True:
            async with asyncio.timeout(self._limits.body_idle_seconds_max):
                piece = await request.content.readany()
            received += len(piece)
            if received > self._limits.body_bytes_max:
                raise too_large(
                    f"The request body is longer than {self._limits.body_bytes_max} bytes"
                )
            gathered += piece
            if len(gathered) >= _HOP_BYTES or not piece:
                await self._store(spool, inflater, bytes(gathered))
                gathered.clear()
            if not piece:
                return

    async def _store(self, spool: Spool, inflater: Inflater | None, data: bytes) -> None:
        if inflater is None and spool.fits_in_memory(len(data)):
            spool.write(data)
            return
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, _write, spool, inflater, data)


def _write(spool: Spool, inflater: Inflater | None, data: bytes) -> None:
    if inflater is None:
        spool.write(data)
        return
    for piece in inflater.feed(data):
        spool.write(piece)
