"""`POST /v1/events` and `/s/{session_token}/events`: accepted means durable, event by event."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec
from aiohttp import web

from gateway.answers import answer
from gateway.auth import bearer_token
from gateway.bodies import EventsAccepted, EventsPartlyAccepted
from gateway.express import AGAIN, Again
from gateway.gateway import Gateway, gateway_of
from gateway.problems import ProblemError, RefusedItem
from gateway.reading import Form, Item, form_of, is_uuid, read_items
from gateway.region import Place
from gateway.stamping import Stamped, bare_stamp, stamp_of
from gateway.wire import WireEvent
from schemas import codec
from schemas.events import Stamp
from schemas.sessions import SessionClaims
from streams.topics import PLAYBACK_EVENTS

ACCEPTED: Final = 202

Vouch = Callable[[WireEvent], Stamp]
"""The stamp of an item; ProblemError where nobody vouches for it."""


async def post_events(request: web.Request) -> web.Response:
    """With a session token or an ingest token as bearer."""
    gateway = gateway_of(request)
    now_ms = gateway.now_ms()
    claims = reporter_of(gateway, request, None, now_ms)
    if claims is None:
        return await _take(request, _ingest_voucher(gateway, request, now_ms), now_ms)
    return await _take_of_session(request, bearer_token(request), claims, now_ms)


async def post_session_events(request: web.Request) -> web.Response:
    """The same without a header, for beacons."""
    gateway = gateway_of(request)
    now_ms = gateway.now_ms()
    token = request.match_info["session_token"]
    claims = reporter_of(gateway, request, token, now_ms)
    assert claims is not None, "a token in the path is a session's"
    return await _take_of_session(request, token, claims, now_ms)


async def _take_of_session(
    request: web.Request, token: str, claims: SessionClaims, now_ms: int
) -> web.Response:
    gateway = gateway_of(request)
    place = gateway.place(request)
    response = await _take(request, _session_voucher(gateway, place, claims, now_ms), now_ms)
    if response.status == ACCEPTED:
        form = form_of(request.headers.get("Content-Type", ""))
        request[AGAIN] = Again(partial(_take_again, gateway, token, place, form))
    return response


async def _take_again(
    gateway: Gateway, token: str, place: Place, form: Form, body: bytes
) -> bytes | None:
    """A body whose head is known; None where it is not wholly taken, and then none of it is."""
    now_ms = gateway.now_ms()
    claims = gateway.auth.session_of_events(token)
    items = _items_of(gateway, body, form)
    taken, refused = judge(items, _session_voucher(gateway, place, claims, now_ms))
    if refused:
        return None
    await gateway.recorder.record(taken, now_ms)
    return codec.encode(EventsAccepted(accepted=len(taken)))


def reporter_of(
    gateway: Gateway, request: web.Request, session_token: str | None, now_ms: int
) -> SessionClaims | None:
    """The session whose token stands in the URL or else is the bearer; None: a back end's bearer.

    Raises ProblemError 401, which is counted, or 403.
    """
    try:
        if session_token is not None:
            return gateway.auth.session_of_events(session_token)
        return _bearer_of(gateway, request)
    except ProblemError as error:
        if error.problem.status == 401:  # its body is not read: it counts as one
            gateway.recorder.count(PLAYBACK_EVENTS, "unauthenticated", 1, now_ms)
        raise


def _bearer_of(gateway: Gateway, request: web.Request) -> SessionClaims | None:
    token = bearer_token(request)
    try:
        return gateway.auth.session_of_events(token)
    except ProblemError:
        gateway.auth.admin(request, "ingest")
        return None


async def _take(request: web.Request, vouch: Vouch, now_ms: int) -> web.Response:
    gateway = gateway_of(request)
    limits = gateway.limits
    form = form_of(request.headers.get("Content-Type", ""))
    body = await gateway.intake.read_events(
        request, "interactions", limits.events_body_bytes_max, limits.events_inflated_bytes_max
    )
    taken, refused = judge(_items_of(gateway, body, form), vouch)
    gateway.recorder.count(PLAYBACK_EVENTS, "refused", len(refused), now_ms)
    if not taken:
        raise none_taken(refused)
    await gateway.recorder.record(taken, now_ms)
    if not refused:
        return answer(EventsAccepted(accepted=len(taken)), ACCEPTED)
    return answer(EventsPartlyAccepted(accepted=len(taken), refused=tuple(refused)), 207)


def _items_of(gateway: Gateway, body: bytes, form: Form) -> list[Item]:
    limits = gateway.limits
    return read_items(
        body,
        form,
        items_max=limits.events_per_request_max,
        item_bytes_max=limits.event_bytes_max,
    )


def judge(items: Sequence[Item], vouch: Vouch) -> tuple[list[Stamped], list[RefusedItem]]:
    """The items that somebody vouches for, and their stamps; and why the others are refused."""
    taken: list[Stamped] = []
    refused: list[RefusedItem] = []
    for index, item in enumerate(items):
        if isinstance(item, RefusedItem):
            refused.append(item)
            continue
        try:
            stamp = vouch(item)
        except ProblemError as error:
            problem = error.problem
            refused.append(
                RefusedItem(index=index, id=item.id, status=problem.status, reason=problem.reason)
            )
            continue
        if item.session_token or item.stamp is not None:
            taken.append((msgspec.structs.replace(item, stamp=None, session_token=""), stamp))
        else:
            taken.append((item, stamp))
    return taken, refused


def none_taken(refused: Sequence[RefusedItem]) -> ProblemError:
    """The status that all share, else 400; and each reason."""
    statuses = {item.status for item in refused}
    first = refused[0]
    return ProblemError(
        first.status if len(statuses) == 1 else 400,
        first.reason if len({item.reason for item in refused}) == 1 else "refused",
        first.detail if len(refused) == 1 else "no event of the body was taken",
        refused=tuple(refused),
    )


def _session_voucher(gateway: Gateway, place: Place, claims: SessionClaims, now_ms: int) -> Vouch:
    stamp = stamp_of(claims, place, "sdk", now_ms)
    by_token = _token_voucher(gateway, place, now_ms)

    def vouch(item: WireEvent) -> Stamp:
        if item.session_token:
            return by_token(item)
        if item.session_id != claims.sid:
            raise ProblemError(403, "foreign-session")
        return stamp

    return vouch


def _ingest_voucher(gateway: Gateway, request: web.Request, now_ms: int) -> Vouch:
    by_token = _token_voucher(gateway, gateway.place(request), now_ms)
    bare = bare_stamp("ingest", now_ms)

    def vouch(item: WireEvent) -> Stamp:
        if item.session_token:
            return msgspec.structs.replace(by_token(item), via="ingest")
        if not is_uuid(item.session_id):
            raise ProblemError(400, "session-id")
        return bare

    return vouch


def _token_voucher(gateway: Gateway, place: Place, now_ms: int) -> Vouch:
    stamps: dict[str, tuple[str, Stamp]] = {}

    def vouch(item: WireEvent) -> Stamp:
        known = stamps.get(item.session_token)
        if known is None:
            claims = gateway.auth.session_of_events(item.session_token)
            known = stamps[item.session_token] = (
                claims.sid,
                stamp_of(claims, place, "sdk", now_ms),
            )
        session_id, stamp = known
        if item.session_id != session_id:
            raise ProblemError(403, "foreign-session")
        return stamp

    return vouch
