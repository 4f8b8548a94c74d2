"""What an operator's console shows: the last hour, and where viewers are steered to."""

from __future__ import annotations

import msgspec
from aiohttp import web

from gateway.answers import NO_STORE, answer
from gateway.gateway import gateway_of
from gateway.problems import ProblemError
from gateway.stored_overview import StoredOverview
from schemas.steering import EVERYBODY, SteeringDecision


class OverviewAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /v1/admin/overview`; `steering` is null before the first decision."""

    stored: StoredOverview
    steering: SteeringDecision | None
    title_count: int


async def get_overview(request: web.Request) -> web.Response:
    """For the role operator; 404 where this gateway knows no analytics store."""
    gateway = gateway_of(request)
    gateway.auth.admin(request, "operator")
    sessions = gateway.ports.stored
    if sessions is None:
        raise ProblemError(404, "no-analytics", "this gateway knows no analytics store")
    body = OverviewAnswer(
        stored=await sessions.overview(),
        steering=gateway.views.steering.get(EVERYBODY),
        title_count=len(gateway.views.titles.items()),
    )
    return answer(body, headers=NO_STORE)
