"""Cross-origin rules: open for what players fetch by themselves and for events, else closed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiohttp import web

ALLOWED_METHODS: Final = "GET, HEAD, POST, OPTIONS"
ALLOWED_HEADERS: Final = (
    "content-type, content-encoding, authorization, range, "
    "cmcd-object, cmcd-request, cmcd-session, cmcd-status, cta-common-access-token, "
    "x-epas-event, x-epas-version, soapaction"
)
EXPOSED_HEADERS: Final = "CMSD-Static, CMSD-Dynamic, Retry-After, Date, Content-Length"
MAX_AGE_S: Final = 7_200
OPEN_PATHS: Final = frozenset({"/v1/events", "/epas/"})
SESSION_PREFIX: Final = "/s/"
OWN_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Server": "playhead"}
"""Of every answer, on any path."""


def is_open(path: str) -> bool:
    """Whether any origin may use the path."""
    return path.startswith(SESSION_PREFIX) or path in OPEN_PATHS


def cors_headers(origin: str | None) -> Mapping[str, str]:
    """The headers of every answer on an open path, errors included."""
    headers = {"Timing-Allow-Origin": "*", "Vary": "Origin"}
    if origin:
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
    return headers


async def add_cors(request: web.Request, response: web.StreamResponse) -> None:
    """A signal of aiohttp's, so that streams get the headers before their first byte too."""
    if is_open(request.path):
        response.headers.update(cors_headers(request.headers.get("Origin")))
    response.headers.update(OWN_HEADERS)


def is_preflight(request: web.Request) -> bool:
    """Whether a browser asks what it may send to an open path."""
    return request.method == "OPTIONS" and is_open(request.path)


def preflight_response() -> web.Response:
    """204, and what may be sent."""
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": ALLOWED_METHODS,
            "Access-Control-Allow-Headers": ALLOWED_HEADERS,
            "Access-Control-Max-Age": str(MAX_AGE_S),
        },
    )
