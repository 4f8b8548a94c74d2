"""A deadline for request headers, which aiohttp has none of: a dripping peer is cut off.

A guard stands between the transport and aiohttp's protocol. Bytes that come while no request is
open start a clock; the request's start, told by the middleware, stops it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class HeaderDeadlines:
    """One per listening gateway."""

    def __init__(self, make_protocol: Callable[[], asyncio.Protocol], deadline_ms: int) -> None:
        self._make_protocol = make_protocol
        self._deadline_s = deadline_ms / 1000
        self._guards: dict[int, _Guard] = {}

    def __call__(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        return _Guard(self._make_protocol(), self._deadline_s, self._guards)

    def start(self, protocol: object) -> None:
        """A request with whole headers has begun on the connection of this protocol."""
        guard = self._guards.get(id(protocol))
        if guard is not None:
            guard.begin()

    def finish(self, protocol: object) -> None:
        """The request is answered; the next one's headers have a deadline again."""
        guard = self._guards.get(id(protocol))
        if guard is not None:
            guard.end()


class _Guard(asyncio.Protocol):
    def __init__(
        self, inner: asyncio.Protocol, deadline_s: float, guards: dict[int, _Guard]
    ) -> None:
        self._inner = inner
        self._deadline_s = deadline_s
        self._guards = guards
        self._transport: asyncio.BaseTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_open = False

    def begin(self) -> None:
        self._is_open = True
        self._stop_timer()

    def end(self) -> None:
        self._is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._guards[id(self._inner)] = self
        self._inner.connection_made(transport)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        if not self._is_open:
            self._start_timer()
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._guards.pop(id(self._inner), None)
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def _start_timer(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._deadline_s, self._cut_off)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cut_off(self) -> None:
        self._timer = None
        if self._transport is not None and not self._is_open:
            self._transport.abort()  # type: ignore[attr-defined]  # a stream's transport has it
