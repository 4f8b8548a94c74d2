"""ClickHouse's HTTP interface: the routes, and the way of a request to its answer."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from typing import Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from infra.clickhouse import multipart
from infra.clickhouse.answers import QueryAnswer, answer_insert
from infra.clickhouse.bodies import BodyReader
from infra.clickhouse.errors import (
    bad_request,
    from_failure,
    not_allowed,
    syntax_error,
)
from infra.clickhouse.origins import foreign_reason
from infra.clickhouse.request import ExternalTable, StatementRequest, read_form, read_request
from infra.clickhouse.responses import error_response
from infra.clickhouse.spool import Spool
from infra.clickhouse.sql import split_insert
from infra.clickhouse.users import User, authenticate, credentials
from infra.clickhouse.workers import Workers

_LOG: Final = logging.getLogger(__name__)
_QUERY_ID_LENGTH_MAX: Final = 200
_READING_METHODS: Final = ("GET", "HEAD")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Front:
    """Answers requests; holds nothing of them beyond their end."""

    def __init__(
        self,
        workers: Workers,
        bodies: BodyReader,
        users: Mapping[str, User],
        host_names: frozenset[str],
    ) -> None:
        self._workers = workers
        self._bodies = bodies
        self._users = users
        self._host_names = host_names
        self.begun: Callable[[RequestHandler], None] = lambda _: None
        """Told of every request's connection, see `ConnectionCap.begun`."""

    def app(self) -> web.Application:
        """The aiohttp application, its errors worded as ClickHouse's."""
        app = web.Application(
            middlewares=[self._guarded],
            client_max_size=self._workers.limits.body_bytes_max,
        )
        app.router.add_get("/ping", _ping)
        app.router.add_get("/health", self._health)
        app.router.add_get("/replicas_status", self._health)
        app.router.add_route("*", "/", self._statement)
        return app

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.begun(request.protocol)
        query_id = request["query_id"] = str(uuid.uuid4())
        timezone = self._workers.engine.timezone
        try:
            self._check_sender(request)
            query_id = request["query_id"] = _query_id(request) or query_id
            return await handler(request)
        except web.HTTPException:
            raise
        except ConnectionError:
            return web.Response(status=499)
        except Exception as failure:  # noqa: BLE001  # the last line: the client is told of any
            error = from_failure(failure, self._workers.engine.version)
            if error.code == 1001:
                _LOG.exception("statement %s failed in an unforeseen way", query_id)
            return error_response(error, query_id, timezone)

    def _check_sender(self, request: web.Request) -> None:
        reason = foreign_reason(request.headers, self._host_names)
        if reason is not None:
            raise not_allowed(reason)

    async def _health(self, _: web.Request) -> web.Response:
        try:
            await self._workers.check_health()
        except (TimeoutError, RuntimeError) as error:
            _LOG.warning("the engine does not answer SELECT 1: %r", error)
            return web.Response(status=503, text="The engine does not answer.\n")
        return web.Response(text="Ok.\n")

    async def _statement(self, request: web.Request) -> web.StreamResponse:
        if request.method not in (*_READING_METHODS, "POST"):
            raise web.HTTPMethodNotAllowed(request.method, (*_READING_METHODS, "POST"))
        values = _values(request)
        user = authenticate(self._users, credentials(request.headers, values))
        spool = self._bodies.spool()
        try:
            values, tables = await self._gather(request, spool, values)
        except BaseException:
            spool.close()
            raise
        asked = self._asked(request, values, tables, user)
        return await self._answer(request, spool, asked, user, values)

    async def _gather(
        self, request: web.Request, spool: Spool, values: dict[str, str]
    ) -> tuple[dict[str, str], tuple[ExternalTable, ...]]:
        """Brings statement and data together in the spool, as if all had come in the body."""
        text = values.get("query", "").encode("utf-8", "surrogateescape")
        if request.method != "POST":
            spool.write(text)
            return values, ()
        if request.content_type != "multipart/form-data":
            if text:
                spool.write(text + b"\n")
            await self._bodies.read_into(spool, request)
            return values, ()
        limits = self._workers.limits
        with closing(self._bodies.spool()) as form:
            await self._bodies.read_into(form, request)
            body = form.read_all(limits.external_table_bytes_max + limits.statement_bytes_max)
        parts = multipart.parse(request.headers["Content-Type"], body)
        values, statement, tables = read_form(
            values, parts, table_bytes_max=limits.external_table_bytes_max
        )
        spool.write(text + statement)
        return values, tables

    def _asked(
        self,
        request: web.Request,
        values: Mapping[str, str],
        tables: tuple[ExternalTable, ...],
        user: User,
    ) -> StatementRequest:
        # As with ClickHouse, GET changes nothing, whoever asks.
        reads = request.method in _READING_METHODS and user.readonly == 0
        return read_request(
            values,
            tables,
            query_id=request["query_id"],
            user=user.name,
            readonly=2 if reads else user.readonly,
            session_seconds_max=self._workers.limits.session_seconds_max,
        )

    async def _answer(
        self,
        request: web.Request,
        spool: Spool,
        asked: StatementRequest,
        user: User,
        values: Mapping[str, str],
    ) -> web.StreamResponse:
        limits = self._workers.limits
        head = spool.head(limits.insert_head_bytes_max)
        insert = split_insert(head, limits.insert_head_bytes_max)
        if insert is not None:
            return await answer_insert(self._workers, asked, user, insert, spool)
        with closing(spool):
            text = spool.read_all(limits.statement_bytes_max)
        if not text.strip():
            raise syntax_error("Empty query")
        packs = values.get("enable_http_compression", "0") in ("1", "true")
        answer = QueryAnswer(
            self._workers,
            asked,
            user,
            text,
            accept_encoding=request.headers.get("Accept-Encoding", "") if packs else "",
            waits_for_end=values.get("wait_end_of_query") == "1",
        )
        return await answer.write(request)


async def _ping(_: web.Request) -> web.Response:
    return web.Response(text="Ok.\n")


def _query_id(request: web.Request) -> str:
    """The client's own id; empty where it gives none. It goes into a header, and so has limits."""
    query_id = request.query.get("query_id", "")
    if len(query_id) > _QUERY_ID_LENGTH_MAX or not (query_id.isascii() and query_id.isprintable()):
        raise bad_request("query_id is too long or not printable")
    return query_id


def _values(request: web.Request) -> dict[str, str]:
    """The values of the URL, with those headers that stand for some of them."""
    values = dict(request.query)
    for name, header in (
        ("database", "X-ClickHouse-Database"),
        ("default_format", "X-ClickHouse-Format"),
    ):
        if header in request.headers:
            values.setdefault(name, request.headers[header])
    return values
