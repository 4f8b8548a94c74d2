"""POSTs of events whose head has been served before on their connection, served without aiohttp.

A player posts every few seconds for hours, and its next head differs from the last one in the
body's length at most. aiohttp takes half of what a small POST costs to read that head once more.
So a handler that took a POST offers to take the next one like it: the guard of the connection hands
it the body alone. What does not come out as wholly taken goes to aiohttp as if it had just come.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import lru_cache
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.web import RequestKey

from gateway.admission import Slots
from gateway.cors import OWN_HEADERS, cors_headers
from gateway.inflate import require_known_encoding
from gateway.intake import Hold, Intake, client_of
from gateway.metrics import GatewayMetrics
from gateway.problems import ProblemError, problem_response, unavailable
from gateway.routing.route import Route
from streams.producer import UnavailableError

Headers = tuple[tuple[str, str], ...]
Take = Callable[[bytes], Awaitable[bytes | None]]
"""A body; then the answer's, once all of it is stored. None or ProblemError: none of it is, and the
answer is another one. UnavailableError as always.
"""


class Again(msgspec.Struct, frozen=True):
    """What a handler leaves with a request that it took: how the next one with this head is."""

    take: Take


AGAIN: Final = RequestKey("again", Again)


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """How the next POST with this head is taken: what the head says, read once."""

    route: Route
    client: str
    """Who sends it, as far as room is shared."""
    origin: str | None
    priority: str
    encoding: str
    """Of the body; empty: none."""
    status: int
    headers: Headers
    """Of its answer, as of the last one."""
    take: Take


def offer_of(request: web.Request, route: Route, response: web.StreamResponse) -> Offer | None:
    """What the handler offers, if anything."""
    again = request.get(AGAIN)
    if again is None:
        return None
    return Offer(
        route=route,
        client=client_of(request),
        origin=request.headers.get("Origin"),
        priority=request.headers.get("Priority", ""),
        encoding=require_known_encoding(request.headers.get("Content-Encoding", "")),
        status=response.status,
        headers=tuple(response.headers.items()),
        take=again.take,
    )


class Express:
    """One per gateway."""

    def __init__(
        self, intake: Intake, slots: Slots, metrics: GatewayMetrics, *, inflated_bytes_max: int
    ) -> None:
        self._intake = intake
        self._slots = slots
        self._metrics = metrics
        self._inflated_bytes_max = inflated_bytes_max

    async def serve(self, offer: Offer, body: bytes) -> bytes | None:
        """The whole answer; None: nothing is stored, and aiohttp is to say why."""
        started_s, traffic = time.monotonic(), offer.route.traffic
        try:
            self._slots.enter(traffic)
        except ProblemError:
            return None
        try:
            status, answer = await self._answer(offer, body)
        except ProblemError:
            return None
        finally:
            self._slots.leave(traffic)
        if answer is not None:
            took_s = time.monotonic() - started_s
            self._metrics.count_request(offer.route.name, status, took_s)
        return answer

    async def _answer(self, offer: Offer, body: bytes) -> tuple[int, bytes | None]:
        hold = Hold(offer.client)
        try:
            taken = await offer.take(await self._read(offer, hold, body))
        except UnavailableError as error:
            away = problem_response(unavailable(error.outcome))
            assert isinstance(away.body, bytes)
            return away.status, _render(away.status, away.body, tuple(away.headers.items()), offer)
        finally:
            self._intake.release(hold)
        if taken is None:
            return offer.status, None
        return offer.status, _render(offer.status, taken, offer.headers, offer)

    async def _read(self, offer: Offer, hold: Hold, body: bytes) -> bytes:
        return await self._intake.read_whole(
            hold,
            offer.route.traffic,
            body,
            priority=offer.priority,
            encoding=offer.encoding,
            inflated_bytes_max=self._inflated_bytes_max,
        )


def _render(status: int, body: bytes, headers: Headers, offer: Offer) -> bytes:
    head = _head(status, headers, offer.origin)
    length = b"" if status == HTTPStatus.NO_CONTENT else b"Content-Length: %d\r\n" % len(body)
    return b"%bDate: %b\r\n%b\r\n%b" % (head, rfc822_formatted_time().encode(), length, body)


@lru_cache(maxsize=1_024)
def _head(status: int, headers: Headers, origin: str | None) -> bytes:
    """What aiohttp writes before what changes from answer to answer."""
    all_headers = (*headers, *cors_headers(origin).items(), *OWN_HEADERS.items())
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in all_headers]
    return "\r\n".join([*lines, ""]).encode()
