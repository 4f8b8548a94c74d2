"""POSTs of events whose head has been served before on their connection, served without aiohttp.

A player posts every few seconds for hours, and its next head differs from the last one in the
body's length at most. aiohttp takes half of what a small POST costs to read that head once more.
So a handler that took a POST offers to take the next one like it: the guard of the connection hands
it the body alone. What does not come out as wholly taken goes to aiohttp as if it had just come.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from aiohttp import web
from aiohttp.web import RequestKey

from gateway.admission import Slots
from gateway.cors import cors_headers
from gateway.inflate import require_known_encoding
from gateway.intake import Hold, Intake, client_of
from gateway.metrics import GatewayMetrics
from gateway.problems import ProblemError, problem_response, unavailable
from gateway.routing.route import Route
from gateway.whole_answers import Headers, whole_answer
from streams.producer import UnavailableError

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
    priority: str
    encoding: str
    """Of the body; empty: none."""
    cors: Headers
    """Of any answer."""
    status: int
    headers: Headers
    """Of its answer, as of the last one; those of `cors` among them."""
    take: Take


def offer_of(request: web.Request, route: Route, response: web.StreamResponse) -> Offer | None:
    """What the handler offers, if anything."""
    again = request.get(AGAIN)
    if again is None:
        return None
    cors = tuple(cors_headers(request.headers.get("Origin")).items())
    return Offer(
        route=route,
        client=client_of(request),
        priority=request.headers.get("Priority", ""),
        encoding=require_known_encoding(request.headers.get("Content-Encoding", "")),
        cors=cors,
        status=response.status,
        headers=(*response.headers.items(), *cors),
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
            headers = (*away.headers.items(), *offer.cors)
            return away.status, whole_answer(away.status, headers, away.body)
        finally:
            self._intake.release(hold)
        if taken is None:
            return offer.status, None
        return offer.status, whole_answer(offer.status, offer.headers, taken)

    async def _read(self, offer: Offer, hold: Hold, body: bytes) -> bytes:
        return await self._intake.read_whole(
            hold,
            offer.route.traffic,
            body,
            priority=offer.priority,
            encoding=offer.encoding,
            inflated_bytes_max=self._inflated_bytes_max,
        )
