"""What is declared of a route: where it leads, who may use it, what it takes and gives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal

import msgspec
from aiohttp import web

from gateway.admission import TrafficClass

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
FORM: Final = "application/x-www-form-urlencoded"

COUNTED: Final = (
    'The first line of NDJSON may be {"count": n}: exactly n lines must follow then (blank ones do '
    "not count), else the answer is 400 with reason `count` and nothing is stored. "
    "An index of `refused` counts the lines after it, from 0."
)
"""Of bodies that `counting` reads."""

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Access = Literal["nobody", "viewer", "session", "session or ingest", "viewer or session", "admin"]
"""Who must show a token; `session` stands in the path where the path begins with /s/."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """A request's body: its types by media type (None: no JSON)."""

    content: Mapping[str, Any]
    bytes_max: str = "body_bytes_max"
    """The field of `Limits` that bounds it."""
    says: str = ""
    """What its types do not show."""


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter of the query, or a header."""

    says: str
    type_: Literal["string", "integer", "boolean"] = "string"
    required: bool = False


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One operation."""

    name: str
    """Its operation id, and its label in the metrics."""
    method: Method
    path: str
    handler: Handler
    says: str
    traffic: TrafficClass
    access: Access = "nobody"
    roles: tuple[str, ...] = ()
    """Of an administration token."""
    body: Body | None = None
    query: Mapping[str, Query] = {}
    headers: Mapping[str, Query] = {}
    answers: Mapping[int, Any] = {}
    """Types of the good answers; a text is a media type that is no JSON, None an empty answer."""
    problems: tuple[int, ...] = ()
    """Beside those that every route of its kind can have."""
    is_delayed: bool = False
    """A 503 waits until a second has passed."""
    turned_away: Literal["with 503", "silently"] | None = None
    """How the door answers where there is no room; None: only aiohttp does."""


PROFILE_TOKEN: Final = {
    "Profile-Token": Query(says="of POST /v1/profiles/{profile_id}/unlock, where a PIN guards")
}


async def _nowhere(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


UNKNOWN: Final = Route(
    name="unknown", method="GET", path="-", handler=_nowhere, says="No route", traffic="health"
)
"""What leads nowhere: its label in the metrics."""


def json_body(type_: Any, bytes_max: str = "body_bytes_max") -> Body:
    """A JSON body of one type."""
    return Body(content={JSON: type_}, bytes_max=bytes_max)
