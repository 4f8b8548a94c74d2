"""A session's events and decisions as analytics stored them, for the page that plays it.

An extra of the player page beside the contract: it shows the token's own session only.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.answers import NO_STORE, answer
from gateway.gateway import gateway_of
from gateway.problems import ProblemError

EVENTS_MAX: Final = 60
DECISIONS_MAX: Final = 20
CLOCK_ERROR_MS_MAX: Final = 86_400_000
"""Events further before the session's start, by the client's clock, are not looked for."""


async def get_stored(request: web.Request) -> web.Response:
    """The newest rows; 404 where this gateway knows no analytics store."""
    gateway = gateway_of(request)
    claims = gateway.auth.session_of_events(request.match_info["session_token"])
    sessions = gateway.ports.stored
    if sessions is None:
        raise ProblemError(404, "no-analytics", "this gateway knows no analytics store")
    stored = await sessions.read(
        claims.sid,
        claims.iat * 1000 - CLOCK_ERROR_MS_MAX,
        events_max=EVENTS_MAX,
        decisions_max=DECISIONS_MAX,
    )
    return answer(stored, headers=NO_STORE)
