"""Reading a request's body: within its size, the room there is and a deadline; then inflated.

Bodies of events take room twice: in memory, as soon as their length is known, and in the work that
is under way, once they are here. The second is small: what waits for its turn or for the broker
waits a second or two, not for ever, and the next ones are refused at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec
from aiohttp import ClientPayloadError, web
from aiohttp.web import RequestKey

from gateway.admission import Room, TrafficClass, Urgency
from gateway.forwarding import address_of
from gateway.inflate import inflate, require_known_encoding
from gateway.problems import ProblemError, unavailable
from gateway.turns import Turns
from gateway.urgency import urgency_of

POST_BYTES: Final = 4 << 10
"""What a POST costs beside its body, in bytes of a body that cost the same."""
SINGLE_HEADERS: Final = (
    "Authorization",
    "Content-Type",
    "Content-Encoding",
    "Content-Length",
    "Host",
    "Origin",
)


class Hold(msgspec.Struct):
    """What a request has taken and gives back once it is answered."""

    client: str
    """Who sends it: a session or a token, else an address."""
    memory_bytes: int = 0
    work_bytes: int = 0


HOLD: Final = RequestKey("hold", Hold)


class Intake:
    """One per gateway."""

    def __init__(
        self,
        memory: Room,
        work: Room,
        turns: Turns,
        *,
        deadline_ms: int,
        is_log_away: Callable[[], bool],
    ) -> None:
        self._memory = memory
        self._work = work
        self._turns = turns
        self._deadline_ms = deadline_ms
        self._is_log_away = is_log_away

    async def read(self, request: web.Request, bytes_max: int) -> bytes:
        """The body, inflated.

        Raises ProblemError: 413 too large, 415 unknown encoding, 408 too slow, 400 cut short,
        503 where too much is held already.
        """
        return await self._read(request, "essential", bytes_max, bytes_max)

    async def read_events(
        self,
        request: web.Request,
        traffic: TrafficClass,
        bytes_max: int,
        inflated_bytes_max: int | None = None,
    ) -> bytes:
        """As `read`, a body of events, when its turn has come; 503 while the log is away, too."""
        if self._is_log_away():
            raise unavailable("not_stored", "unavailable", "the log is away")
        length, priority = request.content_length, request.headers.get("Priority", "")
        urgency = urgency_of(traffic, length, priority)
        body = await self._read(request, urgency, bytes_max, inflated_bytes_max or bytes_max)
        await self._wait_for_turn(request[HOLD], traffic, length, priority, body)
        return body

    async def read_whole(
        self,
        hold: Hold,
        traffic: TrafficClass,
        body: bytes,
        *,
        priority: str,
        encoding: str,
        inflated_bytes_max: int,
    ) -> bytes:
        """As `read_events`, of a body that is here; what `hold` has then is to be released."""
        if self._is_log_away():
            raise unavailable("not_stored", "unavailable", "the log is away")
        length = len(body)
        urgency = urgency_of(traffic, length, priority)
        self._take(hold, urgency, length)
        inflated = self._inflate(hold, urgency, body, encoding, inflated_bytes_max)
        await self._wait_for_turn(hold, traffic, length, priority, inflated)
        return inflated

    def release(self, hold: Hold) -> None:
        """Gives back what a request took; called once it is answered."""
        self._memory.give_back(hold.client, hold.memory_bytes)
        self._work.give_back(hold.client, hold.work_bytes)
        hold.memory_bytes = hold.work_bytes = 0

    def close(self, request: web.Request) -> None:
        """Releases what the request holds, if anything."""
        hold = request.get(HOLD)
        if hold is not None:
            self.release(hold)

    async def _wait_for_turn(
        self, hold: Hold, traffic: TrafficClass, length: int | None, priority: str, body: bytes
    ) -> None:
        """Takes room for the work on a body; returns when it may begin."""
        work_bytes = len(body) + POST_BYTES
        is_tight = not self._work.has_room("bulk", work_bytes) or self._turns.is_late("bulk")
        # Looking into the body makes no difference while there is room for all.
        urgency = urgency_of(traffic, length, priority, body if is_tight else None)
        if self._turns.is_late(urgency):
            raise unavailable("not_stored", "overloaded", "too much waits for its turn")
        self._work.take(hold.client, urgency, work_bytes)
        hold.work_bytes = work_bytes
        await self._turns.wait(urgency, work_bytes)

    async def _read(
        self, request: web.Request, urgency: Urgency, bytes_max: int, inflated_bytes_max: int
    ) -> bytes:
        encoding = require_known_encoding(request.headers.get("Content-Encoding", ""))
        declared = request.content_length
        if declared is not None and declared > bytes_max:
            raise _too_large(bytes_max)
        hold = request[HOLD] = Hold(client_of(request))
        body = await self._receive(request, hold, urgency, bytes_max)
        return self._inflate(hold, urgency, body, encoding, inflated_bytes_max)

    def _inflate(
        self, hold: Hold, urgency: Urgency, body: bytes, encoding: str, inflated_bytes_max: int
    ) -> bytes:
        if not encoding:
            return body
        self._take(hold, urgency, inflated_bytes_max)
        inflated = inflate(body, encoding, inflated_bytes_max)
        self._give_back(hold, inflated_bytes_max - len(inflated))
        return inflated

    async def _receive(
        self, request: web.Request, hold: Hold, urgency: Urgency, bytes_max: int
    ) -> bytes:
        declared = request.content_length
        if declared is not None:
            self._take(hold, urgency, declared)
            if request.content.is_eof():  # it came with the headers: nothing to wait for
                return request.content.read_nowait()
        try:
            async with asyncio.timeout(self._deadline_ms / 1000):
                if declared is not None:
                    return await request.content.read()
                return await self._receive_chunks(request, hold, urgency, bytes_max)
        except TimeoutError as error:
            raise ProblemError(408, "slow-body", headers={"Connection": "close"}) from error
        except (ClientPayloadError, web.RequestPayloadError) as error:
            raise ProblemError(400, "truncated", "the body is cut short") from error

    async def _receive_chunks(
        self, request: web.Request, hold: Hold, urgency: Urgency, bytes_max: int
    ) -> bytes:
        chunks = bytearray()
        async for chunk in request.content.iter_any():
            if len(chunks) + len(chunk) > bytes_max:
                raise _too_large(bytes_max)
            self._take(hold, urgency, len(chunk))
            chunks += chunk
        return bytes(chunks)

    def _take(self, hold: Hold, urgency: Urgency, count: int) -> None:
        self._memory.take(hold.client, urgency, count)
        hold.memory_bytes += count

    def _give_back(self, hold: Hold, count: int) -> None:
        self._memory.give_back(hold.client, count)
        hold.memory_bytes -= count


def client_of(request: web.Request) -> str:
    """Who sends the request, as far as room is shared: its session or token, else its address."""
    return (
        request.match_info.get("session_token")
        or request.headers.get("Authorization")
        or address_of(request)
    )


def require_single_headers(request: web.Request) -> None:
    """Two of a header that decides something may be read differently by two readers: 400."""
    for name in SINGLE_HEADERS:
        if name in request.headers and len(request.headers.getall(name)) > 1:
            raise ProblemError(400, "duplicate-header", f"{name} may stand only once")


def _too_large(bytes_max: int) -> ProblemError:
    # What is left of the body is not worth reading, so the connection cannot be used again.
    return ProblemError(
        413, "too-large", f"at most {bytes_max} bytes", headers={"Connection": "close"}
    )
