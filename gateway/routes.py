"""The table of all routes, and which of them a request met."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.admission import EVENT_TRAFFIC
from gateway.routing.accounts import ACCOUNT_ROUTES
from gateway.routing.catalog import CATALOG_ROUTES
from gateway.routing.operations import OPERATIONS_ROUTES
from gateway.routing.packaging import PACKAGING_ROUTES
from gateway.routing.playback import PLAYBACK_ROUTES
from gateway.routing.route import UNKNOWN, Route
from gateway.routing.sessions import SESSION_ROUTES

ROUTES: Final[tuple[Route, ...]] = (
    *ACCOUNT_ROUTES,
    *CATALOG_ROUTES,
    *PACKAGING_ROUTES,
    *SESSION_ROUTES,
    *PLAYBACK_ROUTES,
    *OPERATIONS_ROUTES,
)

_MET: Final = web.AppKey("routes", dict[web.AbstractRoute, Route])


def add_routes(app: web.Application) -> None:
    """Registers the table."""
    met: dict[web.AbstractRoute, Route] = {}
    # aiohttp tries the routes of a prefix one by one: those with the most traffic come first.
    for route in sorted(ROUTES, key=lambda route: route.traffic not in EVENT_TRAFFIC):
        met[app.router.add_route(route.method, route.path, route.handler)] = route
        if route.method == "GET" and route.traffic != "stream":
            met[app.router.add_route("HEAD", route.path, route.handler)] = route
    app[_MET] = met


def route_of(request: web.Request) -> Route:
    """The route of the table that the request met; UNKNOWN where it met none."""
    return request.app[_MET].get(request.match_info.route, UNKNOWN)
