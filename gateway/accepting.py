"""Accepting connections, many in each turn of the loop.

libuv accepts one in a turn (since 1.46: `uv__server_io`). With turns of 12 ms, as under overload,
500 clients that come at once take six seconds, and whoever wants a license waits behind them.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Final

BACKLOG: Final = 1_024
"""Connections that the kernel holds until their turn."""
PER_TURN_MAX: Final = 128
EXHAUSTED_S: Final = 1.0
"""Between attempts while the process has no file descriptors left."""

log = logging.getLogger(__name__)


class Acceptor:
    """A listening socket; each of its connections gets a protocol of its own."""

    def __init__(self, make_protocol: Callable[[], asyncio.Protocol]) -> None:
        self._make_protocol = make_protocol
        self._socket: socket.socket | None = None
        self._connecting: set[asyncio.Task[None]] = set()
        self._retry: asyncio.TimerHandle | None = None

    def start(self, host: str, port: int) -> int:
        """The port, chosen by the kernel where 0 is asked for. Raises OSError: it is taken."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
        listening.setblocking(False)
        self._socket = listening
        self._resume()
        return int(listening.getsockname()[1])

    def stop(self) -> None:
        """Accept no more; what is accepted stays open."""
        if self._socket is None:
            return
        if self._retry is not None:
            self._retry.cancel()
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._socket = None

    def _resume(self) -> None:
        assert self._socket is not None
        self._retry = None
        asyncio.get_running_loop().add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        assert self._socket is not None
        loop = asyncio.get_running_loop()
        for _ in range(PER_TURN_MAX):
            try:
                connection, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                log.warning("no connection can be accepted for %s s: %s", EXHAUSTED_S, error)
                loop.remove_reader(self._socket)
                self._retry = loop.call_later(EXHAUSTED_S, self._resume)
                return
            connecting = loop.create_task(self._connect(connection))
            self._connecting.add(connecting)
            connecting.add_done_callback(self._connecting.discard)

    async def _connect(self, connection: socket.socket) -> None:
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            loop = asyncio.get_running_loop()
            await loop.connect_accepted_socket(self._make_protocol, connection)
        except OSError as error:  # it is gone already
            log.debug("a connection ended before it began: %s", error)
            connection.close()
