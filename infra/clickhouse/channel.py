"""A result on its way from a worker thread to the event loop, piece by piece, never much of it at a
time.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Final

import msgspec

from infra.clickhouse.compression import Deflater
from infra.clickhouse.lanes import Lane

_PIECES_MAX: Final = 4
_PIECE_BYTES_MAX: Final = 1 << 20


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """X-ClickHouse-Summary; the numbers travel as strings, as ClickHouse writes them."""

    read_rows: str = "0"
    read_bytes: str = "0"
    written_rows: str = "0"
    written_bytes: str = "0"
    total_rows_to_read: str = "0"
    result_rows: str = "0"
    result_bytes: str = "0"
    elapsed_ns: str = "0"


class Piece(msgspec.Struct, frozen=True):
    """Some bytes of the result, packed if the client asked for that."""

    data: bytes


class End(msgspec.Struct, frozen=True):
    """The result is complete."""

    summary: Summary


class Failure(msgspec.Struct, frozen=True):
    """The statement failed."""

    error: Exception


Item = Piece | End | Failure


class ClientGoneError(Exception):
    """Nobody waits for the result any more: end the statement."""


class ResultChannel:
    """One worker writes, one coroutine reads. The worker packs, so that the event loop does not."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, lane: Lane, deflater: Deflater | None
    ) -> None:
        self.format_name: str | None = None
        self.timezone: str | None = None
        self.has_data = False
        self.is_worker_done = False
        self.deflater = deflater
        self._loop = loop
        self._lane = lane
        self._items: asyncio.Queue[Item] = asyncio.Queue()
        self._room = threading.Semaphore(_PIECES_MAX)
        self._is_closed = False

    def start(self, format_name: str | None, timezone: str | None) -> None:
        """Worker: what the headers say. Before the first `write`."""
        self.format_name, self.timezone = format_name, timezone

    def write(self, data: bytes) -> None:
        """Worker: hands a piece over, waiting without its slot while the reader is slow. Raises
        ClientGoneError.
        """
        self.has_data = True
        # The engine's pieces may have many megabytes; what waits for a reader is bounded in bytes.
        for offset in range(0, len(data), _PIECE_BYTES_MAX):
            piece = data[offset : offset + _PIECE_BYTES_MAX]
            packed = self.deflater.compress(piece) if self.deflater is not None else piece
            if packed:
                self._hand_over(packed)

    def put_last(self, item: End | Failure) -> None:
        """On the event loop: how the worker's job ended, perhaps after some pieces."""
        self.is_worker_done = True
        self._items.put_nowait(item)

    def _hand_over(self, data: bytes) -> None:
        if not self._room.acquire(blocking=False):
            with self._lane.slot_given_away():
                self._room.acquire()
        if self._is_closed:
            raise ClientGoneError
        self._put(Piece(data))

    def _put(self, item: Item) -> None:
        self._loop.call_soon_threadsafe(self._items.put_nowait, item)

    async def next(self) -> Item:
        """Reader: the next item; an End or a Failure is the last."""
        item = await self._items.get()
        if isinstance(item, Piece):
            self._room.release()
        return item

    def close(self) -> None:
        """Reader: no more is wanted; a worker that waits wakes up."""
        self._is_closed = True
        self._room.release(_PIECES_MAX + 1)


def finish(deflater: Deflater | None, last: bytes) -> bytes:
    """The last bytes of a stream that the worker has left: packed, and its end marked."""
    if deflater is None:
        return last
    return (deflater.compress(last) if last else b"") + deflater.flush()
