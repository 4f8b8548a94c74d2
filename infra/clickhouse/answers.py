"""One statement from request to answer, on the event loop: workers do the work, this awaits and
writes.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable
from typing import Final

import msgspec
from aiohttp import web

from infra.clickhouse.channel import End, Failure, Item, Piece, ResultChannel, Summary, finish
from infra.clickhouse.compression import deflater, result_encoding
from infra.clickhouse.errors import EngineError, from_failure, timed_out
from infra.clickhouse.gate import leaves_state
from infra.clickhouse.request import StatementRequest
from infra.clickhouse.responses import (
    base_headers,
    error_response,
    exception_block,
    result_headers,
    summary_header,
)
from infra.clickhouse.running import Ticket
from infra.clickhouse.spool import Spool
from infra.clickhouse.sql import InsertText
from infra.clickhouse.statements import run_insert, run_query
from infra.clickhouse.users import User
from infra.clickhouse.workers import Workers

_WHOLE_BYTES_MAX: Final = 1 << 20
_WHOLE_SECONDS_MAX: Final = 0.25
"""A result that ends within these has its length and its exact summary; a longer one is streamed.
"""


class _Opening(msgspec.Struct, kw_only=True):
    """What was there of a result when the answer had to begin."""

    pieces: list[bytes]
    last: End | Failure | None


async def answer_insert(
    workers: Workers, request: StatementRequest, user: User, insert: InsertText, spool: Spool
) -> web.Response:
    """Inserts what the spool holds, and closes it when the insert is over, also if the client has
    gone.
    """

    def work(_: Ticket) -> Summary:
        with (
            workers.files.holding(spool.pieces(insert.data_offset)) as path,
            workers.ready_handle(request, user, leaves_state=False) as ready,
        ):
            return run_insert(ready, request, insert, path)

    try:
        ticket, job = workers.start(workers.lane(user), request.query_id, work)
    except EngineError:
        spool.close()
        raise
    job.add_done_callback(lambda _: spool.close())
    await asyncio.wait({job}, timeout=workers.limits.insert_seconds_max)
    if not job.done():
        workers.cancel(ticket)
    summary = await asyncio.shield(job)
    headers = base_headers(request.query_id, workers.engine.timezone) | summary_header(summary)
    return web.Response(headers=headers)


class QueryAnswer:
    """The answer to one statement that brings no data of its own."""

    def __init__(
        self,
        workers: Workers,
        request: StatementRequest,
        user: User,
        text: bytes,
        *,
        accept_encoding: str,
        waits_for_end: bool,
    ) -> None:
        self._workers = workers
        self._request = request
        self._user = user
        self._text = text
        self._encoding = result_encoding(accept_encoding)
        self._waits_for_end = waits_for_end
        self._deflater = deflater(self._encoding) if self._encoding else None
        lane = workers.lane(user)
        self._channel = ResultChannel(asyncio.get_running_loop(), lane, self._deflater)

    async def write(self, web_request: web.Request) -> web.StreamResponse:
        """Runs the statement and writes its result. The statement ends with the client."""
        workers = self._workers
        lane = workers.lane(self._user)
        ticket, job = workers.start(lane, self._request.query_id, self._work)
        job.add_done_callback(self._settle)
        try:
            opening = await self._opening()
            if isinstance(opening.last, Failure):
                return self._refusal(opening.last.error)
            if opening.last is not None:
                return await self._write_whole(web_request, opening.pieces, opening.last.summary)
            return await self._write_stream(web_request, opening.pieces)
        finally:
            self._channel.close()
            if not job.done():
                workers.cancel(ticket)

    def _work(self, ticket: Ticket) -> Summary:
        request = self._request
        stays = leaves_state(self._text)
        with self._workers.ready_handle(request, self._user, leaves_state=stays) as ready:
            return run_query(ready, request, self._text, self._channel, ticket)

    def _settle(self, job: asyncio.Future[Summary]) -> None:
        """The job's outcome becomes the channel's last item."""
        if job.cancelled():
            self._channel.put_last(Failure(timed_out("The server stops")))
            return
        failure = job.exception()
        if failure is None:
            self._channel.put_last(End(job.result()))
        elif isinstance(failure, Exception):
            self._channel.put_last(Failure(failure))

    async def _next(self, soon_seconds: float | None = None) -> Item | None:
        """The next item; None where it is not there soon. Without a bound, the query's deadline is
        a Failure.
        """
        seconds_max = self._workers.limits.query_seconds_max
        try:
            async with asyncio.timeout(seconds_max if soon_seconds is None else soon_seconds):
                return await self._channel.next()
        except TimeoutError:
            if soon_seconds is not None:
                return None
            return Failure(timed_out(f"Timeout exceeded: no result for {seconds_max:g} seconds"))

    async def _opening(self) -> _Opening:
        """Gathers until the result has ended, or is too large or too slow to be answered as a
        whole.
        """
        opening = _Opening(pieces=[], last=None)
        loop = asyncio.get_running_loop()
        until = loop.time() + _WHOLE_SECONDS_MAX
        size = 0
        while self._waits_for_end or size < _WHOLE_BYTES_MAX:
            hurries = size > 0 and not self._waits_for_end
            item = await self._next(max(0.001, until - loop.time()) if hurries else None)
            if not isinstance(item, Piece):
                opening.last = item
                break
            opening.pieces.append(item.data)
            size += len(item.data)
        return opening

    def _error(self, failure: Exception) -> EngineError:
        return from_failure(failure, self._workers.engine.version)

    def _refusal(self, failure: Exception) -> web.Response:
        timezone = self._workers.engine.timezone
        return error_response(self._error(failure), self._request.query_id, timezone)

    def _headers(self) -> dict[str, str]:
        timezone = self._channel.timezone or self._workers.engine.timezone
        return base_headers(self._request.query_id, timezone) | result_headers(
            self._channel.format_name
        )

    async def _write_whole(
        self, web_request: web.Request, pieces: list[bytes], summary: Summary
    ) -> web.StreamResponse:
        body = b"".join(pieces)
        headers = self._headers() | summary_header(summary)
        if self._encoding and self._channel.has_data:
            body += finish(self._deflater, b"")
            headers["Content-Encoding"] = self._encoding
        response = web.Response(headers=headers, body=body)
        await self._in_time(web_request, response.prepare(web_request))
        await self._in_time(web_request, response.write_eof())
        return response

    async def _write_stream(
        self, web_request: web.Request, pieces: list[bytes]
    ) -> web.StreamResponse:
        tag = secrets.token_hex(8)
        headers = self._headers() | summary_header(Summary())
        headers["X-ClickHouse-Exception-Tag"] = tag
        if self._encoding:
            headers["Content-Encoding"] = self._encoding
        if web_request.method == "HEAD":
            return web.Response(headers=headers)
        response = web.StreamResponse(headers=headers)
        response.enable_chunked_encoding()
        await response.prepare(web_request)
        for piece in pieces:
            await self._in_time(web_request, response.write(piece))
        pieces.clear()
        while isinstance(item := await self._next(), Piece):
            await self._in_time(web_request, response.write(item.data))
        assert item is not None, "without a bound there is an item"
        last = self._last_bytes(item, tag)
        if last:
            await self._in_time(web_request, response.write(last))
        await self._in_time(web_request, response.write_eof())
        return response

    def _last_bytes(self, item: End | Failure, tag: str) -> bytes:
        if isinstance(item, End):
            return finish(self._deflater, b"")
        if self._channel.is_worker_done:
            return finish(self._deflater, exception_block(self._error(item.error), tag))
        # The worker is still at it and may be packing: a stream that just ends tells the client
        # enough.
        raise ConnectionResetError("the statement did not end")

    async def _in_time(self, web_request: web.Request, write: Awaitable[object]) -> None:
        """Awaits a write; a client that takes nothing for too long is cut off."""
        try:
            async with asyncio.timeout(self._workers.limits.write_stall_seconds_max):
                await write
        except TimeoutError as error:
            if web_request.transport is not None:
                web_request.transport.abort()
            raise ConnectionResetError("the client does not read") from error
