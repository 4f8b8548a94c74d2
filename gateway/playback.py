"""What players fetch while they play: manifests, steering, and the bitrate that is decided."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from aiohttp import web

from gateway.answers import NO_STORE, answer
from gateway.bodies import BitrateAnswer
from gateway.delivery.assembly import Assembly
from gateway.delivery.drawing import decision_for, draw_order
from gateway.delivery.entitlement import NothingPlayableError
from gateway.delivery.steering import answer_steering
from gateway.delivery.viewer import Cdn, Player, Viewer, order_cdns
from gateway.gateway import Gateway, gateway_of
from gateway.measuring import measure_request
from gateway.problems import ProblemError
from schemas import codec
from schemas.catalog import Title
from schemas.sessions import SessionClaims
from schemas.steering import EVERYBODY, SteeringDecision

MPD: Final = "application/dash+xml"
M3U8: Final = "application/vnd.apple.mpegurl"
SAY_S_MAX: Final = 5.0
FORBIDDEN: Final = 403
EVENT_STREAM: Final = "text/event-stream"
STEERING_TTL_S: Final = 10
KEEP_ALIVE_MS: Final = 15_000
_PLAYERS: Final[dict[str, Player]] = {"shaka": "shaka", "dashjs": "dashjs", "hlsjs": "hlsjs"}

_Build = Callable[[Assembly, Title, Viewer], str | None]


async def get_mpd(request: web.Request) -> web.Response:
    """DASH, for this viewer."""
    return _manifest(request, MPD, lambda assembly, title, viewer: assembly.mpd(title, viewer))


async def get_master(request: web.Request) -> web.Response:
    """HLS' multivariant playlist, for this viewer and `?kf=` player family."""
    return _manifest(request, M3U8, lambda assembly, title, viewer: assembly.master(title, viewer))


async def get_media(request: web.Request) -> web.Response:
    """HLS' media playlist of one track, from the CDN that `?cdn=` names."""
    track_id = request.match_info["rendition"]
    cdn_name = request.query.get("cdn", "")
    return _manifest(
        request,
        M3U8,
        lambda assembly, title, viewer: assembly.media(title, viewer, track_id, cdn_name),
    )


def _manifest(request: web.Request, media_type: str, build: _Build) -> web.Response:
    gateway = gateway_of(request)
    token = request.match_info["session_token"]
    claims = gateway.auth.session(token)
    measure_request(gateway, request, claims)
    title = gateway.views.titles.get(claims.content_id)
    if title is None:
        raise ProblemError(404, "unknown-content")
    viewer = _viewer(gateway, request, token, claims)
    try:
        text = build(gateway.assembly, title, viewer)
    except NothingPlayableError as error:
        raise ProblemError(403, "tier", "nothing of the title is within the session") from error
    if text is None:
        raise ProblemError(404, "unknown-rendition")
    headers = {**NO_STORE, "Content-Type": media_type}
    return web.Response(body=text.encode(), headers=headers)


async def get_steering(request: web.Request) -> web.Response:
    """Always 200: any other status stops two of the three players from asking ever again.

    Who has no session that goes on is told the CDNs in their configured order.
    """
    gateway = gateway_of(request)
    token = request.match_info["session_token"]
    try:
        claims = gateway.auth.session(token)
    except ProblemError:
        return _neutral_steering(gateway, request, token)
    measure_request(gateway, request, claims)
    title = gateway.views.titles.get(claims.content_id)
    if title is None:
        return _neutral_steering(gateway, request, token)
    decided = _decided(gateway, claims)
    try:
        steering = gateway.assembly.steering(
            title,
            _viewer(gateway, request, token, claims),
            ttl_s=decided.ttl_s if decided else STEERING_TTL_S,
            ceiling_kbps=_ceiling_kbps(gateway, claims),
        )
    except NothingPlayableError:
        return _neutral_steering(gateway, request, token)
    return answer(steering, headers=NO_STORE)


def _neutral_steering(gateway: Gateway, request: web.Request, token: str) -> web.Response:
    reload_uri = f"{gateway.root_url(request, token)}/steering?kf={_player(request)}"
    decided = gateway.views.steering.get(EVERYBODY)
    cdns = order_cdns(gateway.config.cdns, decided.order if decided else ())
    names = [cdn.name for cdn in cdns]
    steering = answer_steering(names, ttl_s=STEERING_TTL_S, reload_uri=reload_uri)
    return answer(steering, headers=NO_STORE)


async def get_bitrate(request: web.Request) -> web.StreamResponse:
    """The decision now; the next one with `?wait_ms=`; all of them as an event stream."""
    gateway = gateway_of(request)
    claims = gateway.auth.session(request.match_info["session_token"])
    if EVENT_STREAM in request.headers.get("Accept", ""):
        return await _stream_bitrate(request, gateway, claims.sid)
    wait_ms = min(_milliseconds(request, "wait_ms"), gateway.limits.long_poll_ms_max)
    since_ms = _milliseconds(request, "since_ms")
    if wait_ms and not _is_newer(gateway, claims.sid, since_ms):
        feed = gateway.views.changes
        subscription = feed.subscribe(claims.sid)
        try:
            await subscription.next_changes(wait_ms)
        finally:
            feed.unsubscribe(subscription, claims.sid)
        gateway.auth.session(request.match_info["session_token"])
    return answer(_bitrate(gateway, claims.sid), headers=NO_STORE)


async def _stream_bitrate(
    request: web.Request, gateway: Gateway, session_id: str
) -> web.StreamResponse:
    """Server-sent events, until the client goes, the session ends or the gateway drains."""
    token = request.match_info["session_token"]
    response = web.StreamResponse(headers={**NO_STORE, "Content-Type": EVENT_STREAM})
    feed = gateway.views.changes
    subscription = feed.subscribe(session_id)
    try:
        await response.prepare(request)
        told: bytes = b""
        while not gateway.is_draining:
            gateway.auth.session(token)
            now = codec.encode(_bitrate(gateway, session_id))
            line = b": still here\n\n" if now == told else b"event: bitrate\ndata: " + now + b"\n\n"
            told = now
            async with asyncio.timeout(gateway.limits.body_deadline_ms / 1000):
                await response.write(line)
            await subscription.next_changes(KEEP_ALIVE_MS)
    except ProblemError as error:
        await _say_the_end(response, error)
    except (ConnectionError, TimeoutError):
        pass  # its headers are sent: nothing more can be said
    finally:
        feed.unsubscribe(subscription, session_id)
    return response


async def _say_the_end(response: web.StreamResponse, error: ProblemError) -> None:
    """The session is refused from now on: its headers are sent, so it is an event. That a token is
    too old is none: the session may have been extended with another one."""
    if error.problem.status != FORBIDDEN:
        return
    problem = codec.encode(error.problem)
    with suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(SAY_S_MAX):
            await response.write(b"event: ended\ndata: " + problem + b"\n\n")


def _bitrate(gateway: Gateway, session_id: str) -> BitrateAnswer:
    decision = gateway.views.bitrates.get(session_id)
    if decision is None:
        return BitrateAnswer()
    return BitrateAnswer(
        ceiling_kbps=decision.ceiling_kbps,
        rendition=decision.rendition_id,
        reason=decision.reason,
        decided_at_ms=decision.decided_at_ms,
    )


def _is_newer(gateway: Gateway, session_id: str, since_ms: int) -> bool:
    """Whether the client, which knows the decision of `since_ms`, has missed a later one."""
    decision = gateway.views.bitrates.get(session_id)
    return bool(since_ms) and decision is not None and decision.decided_at_ms > since_ms


def _milliseconds(request: web.Request, name: str) -> int:
    text = request.query.get(name, "0")
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise ProblemError(400, "schema", f"{name} is a number of milliseconds")
    return int(text)


def _viewer(gateway: Gateway, request: web.Request, token: str, claims: SessionClaims) -> Viewer:
    return Viewer(
        session_id=claims.sid,
        root_url=gateway.root_url(request, token),
        tiers=claims.tiers,
        height_max=claims.max_height,
        bitrate_kbps_max=claims.max_bitrate_kbps,
        cdns=_ordered_cdns(gateway, claims),
        player=_player(request),
    )


def _ordered_cdns(gateway: Gateway, claims: SessionClaims) -> tuple[Cdn, ...]:
    """The session's own order, drawn from its cohort's plan where there is one."""
    decided = _decided(gateway, claims)
    order = decided.order if decided else ()
    if decided is not None and decided.shares:
        order = draw_order(claims.sid, decided.shares, order)
    return order_cdns(gateway.config.cdns, order)


def _decided(gateway: Gateway, claims: SessionClaims) -> SteeringDecision | None:
    return decision_for(gateway.views.steering.get, claims.region, claims.asn)


def _ceiling_kbps(gateway: Gateway, claims: SessionClaims) -> int | None:
    """The session's own, or its cohort's where the CDNs carry less."""
    bitrate, decided = gateway.views.bitrates.get(claims.sid), _decided(gateway, claims)
    ceilings = [each.ceiling_kbps for each in (bitrate, decided) if each is not None]
    return min((kbps for kbps in ceilings if kbps is not None), default=None)


def _player(request: web.Request) -> Player:
    return _PLAYERS.get(request.query.get("kf", ""), "shaka")
