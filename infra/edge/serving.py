"""Answers for one object: who may have it, which bytes, at what pace, and what is told of it."""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec
from aiohttp import web

from infra.content.storage import StorageAwayError
from infra.edge.cmsd import CMSD_DYNAMIC, cmsd_dynamic, raw_cmcd
from infra.edge.decisions import DecisionView
from infra.edge.fault import FaultSwitch
from infra.edge.link import SessionLink, SessionLinks
from infra.edge.logs import LogQueue
from infra.edge.metrics import EdgeMetrics
from infra.edge.objects import ObjectCache
from infra.edge.paths import content_type, object_path
from infra.edge.ranges import select_range
from infra.edge.throttle import Throttle
from schemas.delivery import EdgeLog

IMMUTABLE = "public, max-age=31536000, immutable"
SESSION_ID_CHARS = 36
LOGGED_PATH_CHARS_MAX = 1024

log = logging.getLogger(__name__)


class EdgeParts(msgspec.Struct, frozen=True, kw_only=True):
    """What serving works with."""

    name: str
    source: str
    objects: ObjectCache
    decisions: DecisionView
    throttle: Throttle
    links: SessionLinks
    fault: FaultSwitch
    logs: LogQueue
    metrics: EdgeMetrics
    now_ms: Callable[[], int]


class ObjectServer:
    """The one route that players use: GET and HEAD /{content_id}/{path}?sid=…"""

    def __init__(self, parts: EdgeParts) -> None:
        self._parts = parts
        self._sequence = 0
        self.sent_bytes = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Never raises for what a client sent; the response is logged whatever becomes of it."""
        started_ms = self._parts.now_ms()
        answer, sent_bytes = _empty(502), 0
        try:
            answer = await self._answer(request)
            sent_bytes = await self._send(request, answer)
        except FileNotFoundError:
            answer = _empty(404)
        except StorageAwayError as error:
            log.warning("%s", error)
            answer = self._gone_wrong(request, answer)
        except ConnectionError:
            log.debug("a client went away")
        finally:
            self._record(request, answer.response.status, sent_bytes, started_ms)
        return answer.response

    def _gone_wrong(self, request: web.Request, answer: _Answer) -> _Answer:
        # Begun, it can only be cut off: a player must not take a part for the whole.
        if not answer.response.prepared:
            return _empty(502)
        if request.transport is not None:
            request.transport.abort()
        return answer

    async def _answer(self, request: web.Request) -> _Answer:
        fault = self._parts.fault.now
        if fault.drop and request.transport is not None:
            request.transport.abort()
        if fault.status is not None or fault.drop:
            return _empty(fault.status or 503)
        session_id = session_of(request)
        if self._parts.decisions.is_refused(session_id):
            self._parts.metrics.refused.inc()
            return _empty(403)
        path = object_path(request.match_info["content_id"], request.match_info["path"])
        if path is None:
            return _empty(404)
        size_bytes = await self._parts.objects.size_bytes(path)
        return self._found(request, session_id, path, size_bytes)

    def _found(self, request: web.Request, session_id: str, path: str, size_bytes: int) -> _Answer:
        headers = {
            "Content-Type": content_type(path) or "application/octet-stream",
            "Cache-Control": IMMUTABLE,
            "Accept-Ranges": "bytes",
        }
        ceiling_kbps = self._parts.decisions.ceiling_kbps(session_id)
        if ceiling_kbps is not None:
            headers[CMSD_DYNAMIC] = cmsd_dynamic(self._parts.name, ceiling_kbps)
        try:
            asked = request.http_range
        except ValueError:
            asked = slice(None)  # Several ranges, or none that can be read: all of it is allowed.
        chosen = select_range(asked, size_bytes)
        if chosen is None:
            return _empty(416, {"Content-Range": f"bytes */{size_bytes}"})
        start, end = chosen
        is_part = asked.start is not None
        if is_part:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size_bytes}"
        response = web.StreamResponse(status=206 if is_part else 200, headers=headers)
        response.content_length = end - start
        return _Answer(response=response, path=path, start=start, end=end, size_bytes=size_bytes)

    async def _send(self, request: web.Request, answer: _Answer) -> int:
        response = answer.response
        link = self._parts.links.get(session_of(request))
        if link is not None:
            await link.wait_round_trip()
        sent_bytes = 0
        if request.method != "HEAD" and answer.path:
            read = self._parts.objects.read(
                answer.path, answer.start, answer.end, answer.size_bytes
            )
            async for data in read:
                await response.prepare(request)  # Only the first time does anything.
                sent_bytes += await self._send_paced(response, data, link)
        await response.prepare(request)
        await response.write_eof()
        return sent_bytes

    async def _send_paced(
        self, response: web.StreamResponse, data: bytes, link: SessionLink | None
    ) -> int:
        throttle = self._parts.throttle
        view = memoryview(data)
        sent_bytes = 0
        while sent_bytes < len(view):
            size_bytes = throttle.chunk_bytes()
            if link is not None:
                size_bytes = min(size_bytes, link.chunk_bytes())
            chunk = view[sent_bytes : sent_bytes + size_bytes]
            await throttle.wait_for(len(chunk))
            if link is not None:
                await link.wait_for(len(chunk))
            await response.write(chunk)
            sent_bytes += len(chunk)
        return sent_bytes

    def _record(self, request: web.Request, status: int, sent_bytes: int, started_ms: int) -> None:
        metrics = self._parts.metrics
        metrics.responses.labels(str(status)).inc()
        metrics.sent_bytes.inc(sent_bytes)
        self.sent_bytes += sent_bytes
        session_id = session_of(request)
        if not session_id:
            return
        self._sequence += 1
        line = EdgeLog(
            session_id=session_id,
            edge=self._parts.name,
            source=self._parts.source,
            sequence=self._sequence,
            at_ms=started_ms,
            path=request.path[:LOGGED_PATH_CHARS_MAX],
            status=status,
            bytes_sent=sent_bytes,
            duration_ms=max(0, self._parts.now_ms() - started_ms),
            cmcd=raw_cmcd(request.query, request.headers),
        )
        metrics.logs.labels("dropped").inc(self._parts.logs.add(line))


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A response and the bytes of the object that belong in it; no path, no body."""

    response: web.StreamResponse
    path: str = ""
    start: int = 0
    end: int = 0
    size_bytes: int = 0


def _empty(status: int, headers: dict[str, str] | None = None) -> _Answer:
    response = web.Response(status=status, headers=headers)
    response.headers["Cache-Control"] = "no-store"
    return _Answer(response=response)


def session_of(request: web.Request) -> str:
    """The session id of the query; empty where none that could be one was sent."""
    session_id: str = request.query.get("sid", "")
    return session_id if len(session_id) == SESSION_ID_CHARS else ""
