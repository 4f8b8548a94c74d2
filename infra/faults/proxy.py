"""A TCP proxy on loopback that loses answers, cuts connections or slows them down at will."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from typing import Final, Literal

Mode = Literal["pass", "lose", "reset", "slow"]

HOST: Final = "127.0.0.1"
READ_BYTES: Final = 64 << 10
STRIKE_RATIO: Final = 0.5
"""Of answers or requests that are struck while a fault lasts: some get through, as in life."""
CUT_AFTER_S: Final = 0.2
LATENCY_S: Final = (0.05, 0.5)
BYTES_PER_S: Final = (32_000, 256_000)


class FaultProxy:
    """Forwards to a port; `mode` may change at any moment and counts for open connections too."""

    def __init__(self, target_port: int, chance: random.Random) -> None:
        self.target_port = target_port
        self.port = 0
        self.mode: Mode = "pass"
        self.touched = 0
        """Since the last strike: requests under way that were cut or lost their answer, or pieces
        that were delayed."""
        self.chance = chance
        self.latency_s = 0.0
        self.bytes_per_s = 0.0
        self._server: asyncio.Server | None = None
        self._relays: set[_Relay] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen on a free port, told by `port`."""
        self._server = await asyncio.start_server(self._accept, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more, and cut what is open."""
        if self._server is not None:
            self._server.close()
        for relay in list(self._relays):
            relay.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def waiting_count(self) -> int:
        """Connections on which something was asked and is not answered yet."""
        return sum(relay.is_waiting for relay in self._relays)

    def strike(self, mode: Mode) -> None:
        """From now on."""
        self.mode = mode
        self.touched = 0
        self.latency_s = self.chance.uniform(*LATENCY_S)
        self.bytes_per_s = self.chance.uniform(*BYTES_PER_S)
        if mode == "reset":
            for relay in [each for each in self._relays if each.is_waiting]:
                self.touched += 1
                relay.cut()

    def heal(self) -> None:
        """Forward as before."""
        self.mode = "pass"

    def is_struck(self) -> bool:
        """Whether chance lets this one be struck."""
        return self.chance.random() < STRIKE_RATIO

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            onward = await asyncio.open_connection(HOST, self.target_port)
        except OSError:  # nobody listens there: the client is to see the same
            _reset(writer)
            return
        relay = _Relay(self, (reader, writer), onward)
        self._relays.add(relay)
        try:
            await relay.run()
        finally:
            self._relays.discard(relay)
            relay.cut()


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Relay:
    """One connection and its continuation."""

    def __init__(self, proxy: FaultProxy, client: Stream, server: Stream) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self.is_waiting = False

    async def run(self) -> None:
        """Until either side ends."""
        ways = {asyncio.create_task(self._ask()), asyncio.create_task(self._answer())}
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    def cut(self) -> None:
        """Reset both sides."""
        _reset(self._client[1])
        _reset(self._server[1])

    async def _ask(self) -> None:
        proxy, (reader, _), (_, writer) = self._proxy, self._client, self._server
        while data := await reader.read(READ_BYTES):
            self.is_waiting = True
            await self._slow_down(data)
            writer.write(data)
            await writer.drain()
            if proxy.mode == "reset" and proxy.is_struck():
                await asyncio.sleep(proxy.chance.uniform(0, CUT_AFTER_S))
                proxy.touched += 1
                return

    async def _answer(self) -> None:
        proxy, (_, writer), (reader, _) = self._proxy, self._client, self._server
        while data := await reader.read(READ_BYTES):
            if proxy.mode == "lose" and proxy.is_struck():
                proxy.touched += 1
                # The other way goes on meanwhile: what is asked still arrives.
                await asyncio.sleep(proxy.chance.uniform(0, CUT_AFTER_S))
                return
            await self._slow_down(data)
            self.is_waiting = False
            writer.write(data)
            await writer.drain()

    async def _slow_down(self, data: bytes) -> None:
        if self._proxy.mode == "slow":
            self._proxy.touched += 1
            await asyncio.sleep(self._proxy.latency_s + len(data) / self._proxy.bytes_per_s)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close without a farewell: the peer sees a reset."""
    raw = writer.get_extra_info("socket")
    if raw is not None and raw.fileno() != -1:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
