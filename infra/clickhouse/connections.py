"""A cap on connections, and a deadline for the first request of each."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

_REFUSAL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
    b"X-ClickHouse-Exception-Code: 202\r\nContent-Type: text/plain; charset=UTF-8\r\n\r\n"
    b"Code: 202. DB::Exception: Too many connections. (TOO_MANY_SIMULTANEOUS_QUERIES)\n"
)
_REFUSAL_SECONDS_MAX: Final = 1.0


class _Refusal(asyncio.Protocol):
    """Says why, and hangs up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        assert isinstance(transport, asyncio.Transport)
        transport.write(_REFUSAL)
        transport.write_eof()
        # Closing at once, with the request unread, would take the answer away from the client.
        asyncio.get_running_loop().call_later(_REFUSAL_SECONDS_MAX, transport.abort)


class ConnectionCap:
    """The protocol factory of the listening socket.

    aiohttp limits neither the number of connections nor the wait for a first request; between
    requests its keep-alive timeout rules.
    """

    def __init__(
        self, server: web.Server, *, count_max: int, first_request_seconds_max: float
    ) -> None:
        self._server = server
        self._count_max = count_max
        self._seconds_max = first_request_seconds_max
        self._deadlines: dict[RequestHandler, asyncio.TimerHandle] = {}

    def __call__(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        # asyncio accepts many at once and connects them afterwards: those count too.
        opening = sum(protocol.transport is None for protocol in self._deadlines)
        open_now = len(self._server.connections) + opening
        if open_now >= self._count_max:
            return _Refusal()
        protocol = self._server()
        loop = asyncio.get_running_loop()
        self._deadlines[protocol] = loop.call_later(self._seconds_max, self._expire, protocol)
        return protocol

    def begun(self, protocol: RequestHandler) -> None:
        """A request of this connection has come: its deadline is over."""
        deadline = self._deadlines.pop(protocol, None)
        if deadline is not None:
            deadline.cancel()

    def _expire(self, protocol: RequestHandler) -> None:
        self._deadlines.pop(protocol, None)
        if protocol.transport is not None:
            protocol.transport.abort()
