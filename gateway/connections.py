"""Connections under limits that aiohttp has none of: a deadline for headers, bytes, their number.

A guard stands between the transport and aiohttp's protocol. It knows where each request ends, so
that it can ask the door about the next one. Where it cannot know that (chunked bodies, pipelining,
anything odd), the connection is closed after the answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, cast

import msgspec

from gateway.door import Door, Seen
from gateway.express import Offer
from gateway.intake import POST_BYTES

HEAD_BYTES_MAX: Final = 64 << 10
HAMMERING_S: Final = 1.0
GATHER_MS: Final = 1_000
"""Who takes longer to send a body has time to go through aiohttp, whose deadline holds then."""
UNAVAILABLE: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\n"
    b"Content-Length: 0\r\n\r\n"
)

log = logging.getLogger(__name__)

Serve = Callable[[Offer, bytes], Awaitable[bytes | None]]
"""A whole answer to a body; None: aiohttp is to give it."""


class ConnectionLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Of one listening gateway."""

    connections_max: int
    connection_bytes_max: int
    """Received on one connection and not answered."""
    process_bytes_max: int
    """The same over all connections."""
    express_bytes_max: int
    """Of a body that is served without aiohttp."""
    header_deadline_ms: int
    body_deadline_ms: int
    drain_ms: int
    keep_alive_ms: int
    """After an answer or a refusal; aiohttp's own clock sees no refusals."""


class Connections:
    """Makes the protocol of each new connection; the middleware tells of its requests."""

    def __init__(
        self,
        make_protocol: Callable[[], asyncio.Protocol],
        limits: ConnectionLimits,
        door: Door,
        serve: Serve,
    ) -> None:
        self._make_protocol = make_protocol
        self.limits = limits
        self.door = door
        self.serve = serve
        self.guards: dict[int, _Guard] = {}
        self.unanswered_bytes = 0
        self.is_draining = False
        self.serving: set[asyncio.Task[None]] = set()
        """What is served without aiohttp."""

    def __call__(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        return _Guard(self._make_protocol(), self)

    def start(self, protocol: object) -> None:
        """A request with whole headers has begun on the connection of this protocol."""
        guard = self.guards.get(id(protocol))
        if guard is not None:
            guard.begin()

    def finish(self, protocol: object) -> bool:
        """The request is as good as answered; whether the connection may serve another one."""
        guard = self.guards.get(id(protocol))
        return guard is None or guard.end()

    def offer(self, protocol: object, offer: Offer) -> None:
        """How the next request of this connection is served if its head is the same."""
        guard = self.guards.get(id(protocol))
        if guard is not None:
            guard.offer = offer

    async def drain(self) -> None:
        """From now on all goes through aiohttp; returns when nothing else is being served."""
        self.is_draining = True
        if self.serving:
            await asyncio.wait(self.serving, timeout=self.limits.drain_ms / 1000)


class _Guard(asyncio.Protocol):
    """Of one connection."""

    def __init__(self, inner: asyncio.Protocol, around: Connections) -> None:
        self._inner = inner
        self._around = around
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._head = b""
        """Of a request whose head is not whole yet."""
        self._seen: Seen | None = None
        """The last request whose end was known: a client's next one mostly has the same head."""
        self._expected_bytes: int | None = 0
        """Of the request that aiohttp has; None: not known."""
        self._passed_bytes = 0
        """Of them, so many were handed on."""
        self._calm_from_s = 0.0
        """On the loop's clock; who asks for a license before that hammers."""
        self._is_open = False
        """A handler has the request."""
        self.offer: Offer | None = None
        """For the next request with the head of the last one."""
        self._gathered: bytes | None = None
        """Of a request that is served by it, and of what follows that."""
        self._is_answered = True
        self._arriving_bytes = 0
        self._refused_bytes = 0
        """Of a body that is not wanted any more."""

    def begin(self) -> None:
        """The handler starts: what it takes is counted from now on."""
        self._is_open = True
        self._arrive(0)
        self._stop_timer()

    def end(self) -> bool:
        """Whether another request may follow."""
        self._is_open = False
        self._answer()
        self._start_timer(self._around.limits.keep_alive_ms)
        expected_bytes = self._expected_bytes
        return expected_bytes is not None and self._passed_bytes <= expected_bytes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast("asyncio.Transport", transport)  # as loops of other makes do not say so
        self._transport = stream
        around = self._around
        around.guards[id(self._inner)] = self
        self._inner.connection_made(transport)
        if len(around.guards) > around.limits.connections_max:
            stream.write(UNAVAILABLE)
            stream.close()
            return
        self._start_timer(around.limits.header_deadline_ms)

    def data_received(self, data: bytes) -> None:
        if self._gathered is not None:
            self._gather(data)
            return
        if self._refused_bytes:
            data = self._drop(data)
        while data and self._is_between_requests():
            if self._head:
                data = self._head + data
            else:
                self._stop_timer()
            if b"\r\n\r\n" not in data and len(data) <= HEAD_BYTES_MAX:
                self._head = data
                self._start_timer(self._around.limits.header_deadline_ms)
                return
            self._head = b""
            data = self._admit(data)
        if data:
            self._pass_on(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._arrive(0)
        self._answer()
        self._around.guards.pop(id(self._inner), None)
        self._transport = None
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def _is_between_requests(self) -> bool:
        return (
            self._is_answered and not self._is_open and self._passed_bytes == self._expected_bytes
        )

    def _admit(self, data: bytes) -> bytes:
        """Answers the request that begins here, or hands it on; what follows of `data`."""
        door, seen = self._around.door, self._see(data)
        answer = door.refusal(seen, data) if seen is not None else None
        if seen is not None and answer is not None and not self._is_hammering(seen):
            assert self._transport is not None
            self._transport.write(answer)
            self._stop_timer()
            self._refused_bytes = seen.frame.total_bytes
            return self._drop(data)
        self._expected_bytes = seen.frame.total_bytes if seen is not None else None
        self._begin_request(len(data))
        if seen is not None and self._is_offered(seen):
            self._gathered = b""
            self._gather(data)
            return b""
        if seen is None:  # else its handler starts now
            self._start_timer(self._around.limits.header_deadline_ms)
        self._pass_on(data)
        return b""

    def _see(self, data: bytes) -> Seen | None:
        """The request that begins here; what the door saw of the last one holds for its like."""
        seen = self._seen
        frame = None if seen is None else seen.frame.again(data)
        if seen is None or frame is None:
            self.offer = None
            self._seen = self._around.door.see(data)
        elif frame is not seen.frame:
            self._seen = Seen(frame, seen.path)
        return self._seen

    def _begin_request(self, arrived_bytes: int) -> None:
        self._passed_bytes = 0
        self._is_answered = False
        self._arrive(arrived_bytes + POST_BYTES)

    def _is_offered(self, seen: Seen) -> bool:
        around = self._around
        is_small = seen.frame.length_bytes <= around.limits.express_bytes_max
        return self.offer is not None and is_small and not around.is_draining

    def _gather(self, data: bytes) -> None:
        """Keeps what is served by the offer, and what comes meanwhile."""
        assert self._gathered is not None
        assert self._expected_bytes is not None
        if not self._count(len(data)):
            return
        was_bytes = len(self._gathered)
        self._gathered += data
        if len(self._gathered) < self._expected_bytes:
            self._start_timer(GATHER_MS, self._go_long_way)
        elif was_bytes < self._expected_bytes:
            self._stop_timer()
            assert self.offer is not None
            assert self._seen is not None
            body = self._gathered[len(self._seen.frame.head) : self._expected_bytes]
            serving = asyncio.create_task(self._serve(self.offer, body))
            self._around.serving.add(serving)
            serving.add_done_callback(self._around.serving.discard)

    async def _serve(self, offer: Offer, body: bytes) -> None:
        try:
            answer = await self._around.serve(offer, body)
        except Exception:
            log.exception("%s failed", offer.route.name)
            self._cut_off()
            return
        if self._transport is None or self._transport.is_closing():
            return
        if answer is None:
            self._go_long_way()
            return
        assert self._gathered is not None
        assert self._expected_bytes is not None
        rest, self._gathered = self._gathered[self._expected_bytes :], None
        self._transport.write(answer)
        self._arrive(0)
        self._answer()
        self._passed_bytes = self._expected_bytes
        self._start_timer(self._around.limits.keep_alive_ms)
        if rest:
            self.data_received(rest)

    def _go_long_way(self) -> None:
        """Hands what has gathered to aiohttp, as if it came now."""
        assert self._gathered is not None
        data, self._gathered, self.offer = self._gathered, None, None
        self._stop_timer()
        self._answer()
        self._begin_request(len(data))
        self._pass_on(data)

    def _is_hammering(self, seen: Seen) -> bool:
        """Whether a license was refused here a moment ago: hls.js asks again without a pause, a
        hundred times a second. The next refusal is aiohttp's to give, which takes its time.
        """
        if seen.path is None or seen.path.traffic != "license":
            return False
        now_s = asyncio.get_running_loop().time()
        is_hammering = now_s < self._calm_from_s
        if not is_hammering:
            self._calm_from_s = now_s + HAMMERING_S
        return is_hammering

    def _drop(self, data: bytes) -> bytes:
        dropped = min(len(data), self._refused_bytes)
        self._refused_bytes -= dropped
        if self._refused_bytes:
            self._start_timer(self._around.limits.body_deadline_ms)
        else:
            self._stop_timer()
            self._start_timer(self._around.limits.keep_alive_ms)
        return data[dropped:]

    def _pass_on(self, data: bytes) -> None:
        if self._count(len(data)):
            self._inner.data_received(data)

    def _count(self, count: int) -> bool:
        """Whether there is room for so much more; the connection is cut off where there is none."""
        self._passed_bytes += count
        if self._is_answered:
            return True
        around, limits = self._around, self._around.limits
        around.unanswered_bytes += count
        if (
            self._passed_bytes > limits.connection_bytes_max
            or around.unanswered_bytes > limits.process_bytes_max
        ):
            self._cut_off()
            return False
        return True

    def _answer(self) -> None:
        if not self._is_answered:
            self._is_answered = True
            self._around.unanswered_bytes -= self._passed_bytes

    def _arrive(self, count: int) -> None:
        self._around.door.arriving_bytes += count - self._arriving_bytes
        self._arriving_bytes = count

    def _start_timer(self, deadline_ms: int, then: Callable[[], None] | None = None) -> None:
        """The connection is cut off, unless it is told what else."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(deadline_ms / 1000, then or self._cut_off)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cut_off(self) -> None:
        self._timer = None
        if self._transport is not None:
            self._transport.abort()
