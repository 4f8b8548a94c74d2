"""A gateway that does what a script says: it answers, lies, hangs, and breaks connections.

What it stores it reads as the real one does, so a body that the real one would refuse is refused
here too. The answer and what is really stored are two things, which is the point.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from gateway.cors import cors_headers, preflight_response
from gateway.inflate import inflate, require_known_encoding
from gateway.problems import CONTENT_TYPE, ProblemError, RefusedItem
from gateway.reading import form_of, read_items
from schemas import codec

HELD_S = 30
Way = Callable[["ScriptedGateway", web.Request, bytes], Awaitable[web.StreamResponse]]
Identity = tuple[str, str, int]


@dataclass
class ScriptedGateway:
    """Each POST takes the next way of the script; without one it is accepted."""

    script: deque[Way] = field(default_factory=deque)
    stored: defaultdict[Identity, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    """Every payload that was stored of an identity, in order: more than one is a re-send."""
    order: list[Identity] = field(default_factory=list)
    """Each identity when it was first stored."""
    batches: list[list[str]] = field(default_factory=list)
    """The ids of each POST that could be read."""
    headers: list[dict[str, str]] = field(default_factory=list)
    posts: asyncio.Condition = field(default_factory=asyncio.Condition)
    ways: Counter[str] = field(default_factory=Counter)
    url: str = ""

    def will(self, *ways: Way) -> None:
        """What the next POSTs meet, one after the other."""
        self.script.extend(ways)

    def store(self, body: bytes, request: web.Request, *, refused: Iterable[int] = ()) -> int:
        """Keeps the events but those at the refused places; how many there are in all."""
        events = self.read(body, request)
        for index, event in enumerate(events):
            if index in refused:
                continue
            identity = (event.session_id, event.source, event.sequence)
            if identity not in self.stored:
                self.order.append(identity)
            self.stored[identity].append(codec.encode(event))
        return len(events)

    def read(self, body: bytes, request: web.Request) -> list[Any]:
        """ProblemError where the real gateway would refuse any of it."""
        encoding = require_known_encoding(request.headers.get("Content-Encoding", ""))
        lines = inflate(body, encoding, 2 << 20)
        assert lines.startswith(b'{"count":'), "clients say how many they send"
        items = read_items(
            lines,
            form_of(request.headers.get("Content-Type", "")),
            items_max=500,
            item_bytes_max=64 << 10,
        )
        wrong = [item for item in items if isinstance(item, RefusedItem)]
        assert wrong == [], "clients send what the gateway can read"
        return items

    async def until_posts(self, count: int) -> None:
        """Until so many POSTs have come."""
        await self.until(lambda: len(self.headers) >= count)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Until it is true after a POST."""
        async with self.posts:
            await self.posts.wait_for(condition)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """`POST …/events`."""
        body = await request.read()
        way = self.script.popleft() if self.script else accept
        self.headers.append(dict(request.headers))
        self.ways[way.__name__] += 1
        try:
            self.batches.append([event.id for event in self.read(body, request)])
            answer = await way(self, request, body)
        except ProblemError as error:
            answer = _problem(error.problem.status, error.problem.reason)
        async with self.posts:
            self.posts.notify_all()
        return answer

    def require_each_once(self, ids: Iterable[str]) -> None:
        """All are stored, each under one identity with one payload, and nothing else is."""
        payloads = {identity: set(sent) for identity, sent in self.stored.items()}
        changed = {identity: sent for identity, sent in payloads.items() if len(sent) > 1}
        assert changed == {}, "a re-send is the same event byte for byte"
        found = Counter(json.loads(next(iter(sent)))["id"] for sent in payloads.values())
        assert found == Counter(ids)


@asynccontextmanager
async def scripted_gateway(
    host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[ScriptedGateway]:
    """On a free port; open to every origin, as the real one's events are."""
    gateway = ScriptedGateway()

    async def open_to_all(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(cors_headers(request.headers.get("Origin")))

    async def preflight(_request: web.Request) -> web.Response:
        return preflight_response()

    app = web.Application(client_max_size=4 << 20)
    app.on_response_prepare.append(open_to_all)
    app.router.add_post("/{path:.*}", gateway.handle)
    app.router.add_options("/{path:.*}", preflight)
    runner = web.AppRunner(app, auto_decompress=False, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    gateway.url = f"http://{host}:{runner.addresses[0][1]}"
    try:
        yield gateway
    finally:
        await runner.cleanup()


def _problem(
    status: int, reason: str, *, retry_after_s: int | None = None, **members: Any
) -> web.Response:
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    body = {"status": status, "reason": reason, **members}
    return web.json_response(body, status=status, headers=headers, content_type=CONTENT_TYPE)


async def accept(gateway: ScriptedGateway, request: web.Request, body: bytes) -> web.Response:
    return web.json_response({"accepted": gateway.store(body, request)}, status=202)


async def not_stored(gateway: ScriptedGateway, request: web.Request, body: bytes) -> web.Response:
    return _problem(503, "overloaded", retry_after_s=0, outcome="not_stored")


async def unknown_and_stored(
    gateway: ScriptedGateway, request: web.Request, body: bytes
) -> web.Response:
    gateway.store(body, request)
    return _problem(503, "unavailable", retry_after_s=0, outcome="unknown")


async def unknown_and_lost(
    gateway: ScriptedGateway, request: web.Request, body: bytes
) -> web.Response:
    return _problem(503, "unavailable", retry_after_s=0, outcome="unknown")


async def half_stored(gateway: ScriptedGateway, request: web.Request, body: bytes) -> web.Response:
    """One of the two topics took its part."""
    count = len(gateway.read(body, request))
    gateway.store(body, request, refused=range(count // 2, count))
    return _problem(503, "unavailable", retry_after_s=0, outcome="unknown")


async def too_many(gateway: ScriptedGateway, request: web.Request, body: bytes) -> web.Response:
    return _problem(429, "rate", retry_after_s=0)


def busy_for(retry_after_s: int) -> Way:
    async def busy(gateway: ScriptedGateway, request: web.Request, body: bytes) -> web.Response:
        return _problem(503, "overloaded", retry_after_s=retry_after_s, outcome="not_stored")

    return busy


async def reset_before(
    gateway: ScriptedGateway, request: web.Request, body: bytes
) -> web.StreamResponse:
    return _reset(request)


async def reset_after(
    gateway: ScriptedGateway, request: web.Request, body: bytes
) -> web.StreamResponse:
    gateway.store(body, request)
    return _reset(request)


async def hang(gateway: ScriptedGateway, request: web.Request, body: bytes) -> web.StreamResponse:
    """Stored, and never told."""
    gateway.store(body, request)
    async with gateway.posts:
        gateway.posts.notify_all()
    await asyncio.sleep(HELD_S)
    return _reset(request)


async def truncated(
    gateway: ScriptedGateway, request: web.Request, body: bytes
) -> web.StreamResponse:
    """Half an answer; whether it was a good one cannot be told."""
    gateway.store(body, request)
    response = web.StreamResponse(status=202, headers={"Content-Type": "application/json"})
    response.content_length = 20
    await response.prepare(request)
    await response.write(b'{"accep')
    return _reset(request)


async def portal(gateway: ScriptedGateway, request: web.Request, body: bytes) -> web.Response:
    """A hotel's sign-in page says 200 to everything."""
    return web.Response(text="<h1>Welcome</h1>", content_type="text/html")


async def server_error(gateway: ScriptedGateway, request: web.Request, body: bytes) -> web.Response:
    return web.Response(status=502, text="bad gateway")


async def unauthorized(gateway: ScriptedGateway, request: web.Request, body: bytes) -> web.Response:
    return _problem(401, "token")


async def no_gzip(gateway: ScriptedGateway, request: web.Request, body: bytes) -> web.Response:
    if "Content-Encoding" in request.headers:
        return _problem(415, "encoding")
    return await accept(gateway, request, body)


async def cut_on_the_way(
    gateway: ScriptedGateway, request: web.Request, body: bytes
) -> web.Response:
    """What the real one says of a batch that lost lines."""
    return _problem(400, "count")


def refuse(*places: int, status: int = 400) -> Way:
    """The others are stored."""

    async def refuse_some(
        gateway: ScriptedGateway, request: web.Request, body: bytes
    ) -> web.Response:
        count = len(gateway.read(body, request))
        gateway.store(body, request, refused=places)
        refused = [{"index": index, "status": status, "reason": "schema"} for index in places]
        accepted = count - len(places)
        if accepted == 0:
            return _problem(status, "schema", refused=refused)
        return web.json_response({"accepted": accepted, "refused": refused}, status=207)

    return refuse_some


def at_most(events_max: int) -> Way:
    """413 to more, as a proxy before the gateway may say."""

    async def too_large(
        gateway: ScriptedGateway, request: web.Request, body: bytes
    ) -> web.Response:
        if len(gateway.read(body, request)) > events_max:
            return web.Response(status=413, text="too large")
        return await accept(gateway, request, body)

    return too_large


def _reset(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:  # the client may have gone first
        request.transport.abort()
    return web.Response()


EVERY_FAILURE: tuple[Way, ...] = (
    not_stored,
    unknown_and_stored,
    unknown_and_lost,
    half_stored,
    too_many,
    reset_before,
    reset_after,
    truncated,
    portal,
    server_error,
    cut_on_the_way,
)
"""After which the same events must come again, and do not wait long."""
