"""Reading a request's body: within its size, the process's budget and a deadline; then inflated."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import ClientPayloadError, web
from aiohttp.web import RequestKey

from gateway.admission import ByteBudget
from gateway.inflate import inflate, require_known_encoding
from gateway.problems import ProblemError

HELD_BYTES: Final = RequestKey("held_bytes", int)
"""What this request has taken of the budget; the middleware gives it back."""
SINGLE_HEADERS: Final = (
    "Authorization",
    "Content-Type",
    "Content-Encoding",
    "Content-Length",
    "Host",
    "Origin",
)


class Intake:
    """One per gateway."""

    def __init__(self, budget: ByteBudget, *, deadline_ms: int) -> None:
        self._budget = budget
        self._deadline_ms = deadline_ms

    async def read(
        self, request: web.Request, bytes_max: int, inflated_bytes_max: int | None = None
    ) -> bytes:
        """The body, inflated.

        Raises ProblemError: 413 too large, 415 unknown encoding, 408 too slow, 400 cut short,
        503 where the process holds too much already.
        """
        encoding = require_known_encoding(request.headers.get("Content-Encoding", ""))
        declared = request.content_length
        if declared is not None and declared > bytes_max:
            raise _too_large(bytes_max)
        body = await self._receive(request, declared, bytes_max)
        if not encoding:
            return body
        inflated_max = inflated_bytes_max or bytes_max
        self._take(request, inflated_max)
        inflated = inflate(body, encoding, inflated_max)
        self._give_back(request, inflated_max - len(inflated))
        return inflated

    def close(self, request: web.Request) -> None:
        """Gives back what the request took; called once it is answered."""
        self._give_back(request, request.get(HELD_BYTES, 0))

    async def _receive(self, request: web.Request, declared: int | None, bytes_max: int) -> bytes:
        if declared is not None:
            self._take(request, declared)
            if request.content.is_eof():  # it came with the headers: nothing to wait for
                return request.content.read_nowait()
        try:
            async with asyncio.timeout(self._deadline_ms / 1000):
                if declared is not None:
                    return await request.content.read()
                return await self._receive_chunks(request, bytes_max)
        except TimeoutError as error:
            raise ProblemError(408, "slow-body", headers={"Connection": "close"}) from error
        except (ClientPayloadError, web.RequestPayloadError) as error:
            raise ProblemError(400, "truncated", "the body is cut short") from error

    async def _receive_chunks(self, request: web.Request, bytes_max: int) -> bytes:
        chunks = bytearray()
        async for chunk in request.content.iter_any():
            if len(chunks) + len(chunk) > bytes_max:
                raise _too_large(bytes_max)
            self._take(request, len(chunk))
            chunks += chunk
        return bytes(chunks)

    def _take(self, request: web.Request, count: int) -> None:
        self._budget.take(count)
        request[HELD_BYTES] = request.get(HELD_BYTES, 0) + count

    def _give_back(self, request: web.Request, count: int) -> None:
        self._budget.give_back(count)
        request[HELD_BYTES] = request.get(HELD_BYTES, 0) - count


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
