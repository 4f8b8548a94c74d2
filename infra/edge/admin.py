"""The demo's switches: slow the edge down, break it, mend it. From this machine only."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from infra.edge.cors import is_local_caller
from infra.edge.fault import Fault
from infra.edge.gateway_link import GatewayLink
from infra.edge.link import Recording
from infra.edge.serving import EdgeParts, ObjectServer
from infra.edge.throttle import THROTTLE_KBPS_MAX, THROTTLE_KBPS_MIN
from schemas.codec import Decoder, encode
from schemas.errors import InvalidMessageError

ADMIN_PREFIX = "/_edge/"


class SetThrottle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """null lifts it."""

    kbps: Annotated[int, Meta(ge=THROTTLE_KBPS_MIN, le=THROTTLE_KBPS_MAX)] | None


class EdgeAdmin:
    """GET /_edge/state; PUT throttle and fault below /_edge/; PUT and GET links/{session_id}."""

    def __init__(self, parts: EdgeParts, link: GatewayLink, server: ObjectServer) -> None:
        self._parts = parts
        self._link = link
        self._server = server
        self._throttles: Decoder[SetThrottle] = Decoder(SetThrottle)
        self._faults: Decoder[Fault] = Decoder(Fault)
        self._recordings: Decoder[Recording] = Decoder(Recording)

    async def state(self, request: web.Request) -> web.Response:
        """What the edge does now."""
        return self._told()

    async def put_throttle(self, request: web.Request) -> web.Response:
        """Holds for all responses together."""
        try:
            wanted = self._throttles.decode(await request.read())
        except InvalidMessageError as error:
            return _bad_request(error)
        self._parts.throttle.set_kbps(wanted.kbps)
        return self._told()

    async def put_fault(self, request: web.Request) -> web.Response:
        """{"status": null} mends it."""
        try:
            self._parts.fault.now = self._faults.decode(await request.read())
        except InvalidMessageError as error:
            return _bad_request(error)
        return self._told()

    async def put_link(self, request: web.Request) -> web.Response:
        """The session's responses flow as a recorded network did; without rates, freely again."""
        try:
            recording = self._recordings.decode(await request.read())
            self._parts.links.put(request.match_info["session_id"], recording)
        except InvalidMessageError as error:
            return _bad_request(error)
        return self._told()

    async def link(self, request: web.Request) -> web.Response:
        """What the session's link has carried; 404 where it has none."""
        link = self._parts.links.get(request.match_info["session_id"])
        return web.Response(status=404) if link is None else _json(link.state())

    def _told(self) -> web.Response:
        parts, link = self._parts, self._link
        state: dict[str, Any] = {
            "name": parts.name,
            "throttle_kbps": parts.throttle.kbps,
            "fault": parts.fault.now,
            "links_count": len(parts.links),
            "sent_bytes": self._server.sent_bytes,
            "decisions": {
                "is_following": link.is_following,
                "heard_at_ms": link.heard_at_ms,
                "session_count": len(parts.decisions),
            },
            "logs": {"queued_count": len(parts.logs), "dropped_count": parts.logs.dropped_count},
            "cache": {
                "cached_bytes": parts.objects.cached_bytes,
                "hit_count": parts.objects.hit_count,
                "miss_count": parts.objects.miss_count,
            },
        }
        return _json(state)


def _json(told: Any) -> web.Response:
    return web.Response(
        body=encode(told), content_type="application/json", headers={"Cache-Control": "no-store"}
    )


def refusal(request: web.Request) -> web.Response | None:
    """403 for the switches unless who asks is on this machine."""
    if not request.path.startswith(ADMIN_PREFIX):
        return None
    if is_local_caller(request.remote, request.headers):
        return None
    return web.Response(status=403, headers={"Cache-Control": "no-store"})


def _bad_request(error: InvalidMessageError) -> web.Response:
    problem = {"type": "about:blank", "title": "Bad Request", "status": 400, "detail": str(error)}
    return web.Response(status=400, body=encode(problem), content_type="application/problem+json")
