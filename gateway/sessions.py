"""Sessions: the license agent decides them, the gateway says where everything is."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from aiohttp import web

from gateway.answers import NO_STORE, answer, nothing
from gateway.auth import bearer_token
from gateway.bodies import NewSession, SessionAnswer
from gateway.delivery.viewer import Player
from gateway.gateway import Gateway, gateway_of, instant
from gateway.problems import ProblemError
from schemas.errors import InvalidMessageError, RetryableError
from schemas.recommendations import GetResumePoint, ResumePoint
from schemas.sessions import (
    Device,
    EndSession,
    ExtendSession,
    OpenSession,
    SessionEnded,
    SessionOpened,
)
from streams.binding import read_public_key
from streams.requests import RefusedError
from streams.topics import LICENSE_REQUESTS, RECOMMENDATION_REQUESTS

log = logging.getLogger(__name__)

_FAMILIES: Final[dict[str, Player]] = {"shaka": "shaka", "dash": "dashjs", "hls": "hlsjs"}


async def open_session(request: web.Request) -> web.Response:
    """201 with the token and every address that a player needs."""
    gateway = gateway_of(request)
    viewer = await gateway.auth.viewer(request)
    body: NewSession = await gateway.read_json(request, NewSession)
    _require_sound_key(body.device)
    place = gateway.place(request)
    question = OpenSession(
        session_id=gateway.new_id(),
        account_id=viewer.account_id,
        account_version=viewer.version,
        profile_id=body.profile_id,
        content_id=body.content_id,
        device=body.device,
        region=place.region,
        anonymizers=place.anonymizers,
        asn=place.asn,
        network=place.network,
        token_version=viewer.token_version,
        unlocked_pin_set_at_ms=gateway.auth.pin_said(request, viewer, body.profile_id),
    )
    resume = asyncio.create_task(_resume_point(gateway, body.profile_id, body.content_id))
    try:
        opened: SessionOpened = await gateway.ask(
            LICENSE_REQUESTS, viewer.account_id, question, SessionOpened
        )
        await asyncio.wait((resume,), timeout=gateway.limits.resume_wait_ms / 1000)
    finally:
        resume.cancel()
    resume_playhead_ms = resume.result() if resume.done() else 0
    log.info("session %s opened on %s", opened.session_id, body.content_id)
    family = player_family(body.device.player)
    return _answer(request, opened, family, 201, resume_playhead_ms)


async def extend_session(request: web.Request) -> web.Response:
    """A new token for a session that goes on."""
    gateway = gateway_of(request)
    account_id, session_id = await _owned_session(request)
    place = gateway.place(request)
    question = ExtendSession(
        account_id=account_id,
        session_id=session_id,
        region=place.region,
        anonymizers=place.anonymizers,
    )
    opened: SessionOpened = await gateway.ask(LICENSE_REQUESTS, account_id, question, SessionOpened)
    return _answer(request, opened, "shaka", 200, None)


async def end_session(request: web.Request) -> web.Response:
    """Frees the slot: 204."""
    gateway = gateway_of(request)
    account_id, session_id = await _owned_session(request)
    command = EndSession(account_id=account_id, session_id=session_id)
    await gateway.ask(LICENSE_REQUESTS, account_id, command, SessionEnded)
    return nothing()


def player_family(player: str) -> Player:
    """Which manifests a player takes, by its name as the client wrote it."""
    name = player.lower()
    return next((family for part, family in _FAMILIES.items() if part in name), "shaka")


async def _owned_session(request: web.Request) -> tuple[str, str]:
    """Account and session of the request; the bearer is the account's token or the session's."""
    gateway = gateway_of(request)
    session_id = request.match_info["session_id"]
    try:
        claims = gateway.auth.session(bearer_token(request))
    except ProblemError as error:
        if error.problem.status != 401:
            raise
        viewer = await gateway.auth.viewer(request)
        return viewer.account_id, session_id
    if claims.sid != session_id:
        raise ProblemError(404, "unknown-session")
    return claims.account_id, session_id


def _require_sound_key(device: Device) -> None:
    """ProblemError 400 for a device's public key that nothing could be sealed to."""
    try:
        if device.public_key:
            read_public_key(device.public_key)
    except InvalidMessageError as error:
        raise ProblemError(400, error.reason, error.detail) from error


async def _resume_point(gateway: Gateway, profile_id: str, content_id: str) -> int:
    """A convenience: where it is not known soon after the session opened, playback starts at 0."""
    question = GetResumePoint(profile_id=profile_id, content_id=content_id)
    try:
        point: ResumePoint = await gateway.ask(
            RECOMMENDATION_REQUESTS,
            profile_id,
            question,
            ResumePoint,
        )
    except (RetryableError, RefusedError):
        return 0
    return point.playhead_ms


def _answer(
    request: web.Request,
    opened: SessionOpened,
    family: Player,
    status: int,
    resume_playhead_ms: int | None,
) -> web.Response:
    gateway = gateway_of(request)
    root = gateway.root_url(request, opened.session_token)
    body = SessionAnswer(
        session_id=opened.session_id,
        session_token=opened.session_token,
        resume_playhead_ms=resume_playhead_ms,
        dash_url=f"{root}/manifest.mpd",
        hls_url=f"{root}/master.m3u8?kf={family}",
        license_url=f"{root}/license",
        cmcd_url=f"{root}/cmcd/{gateway.ports.randomness(6).hex()}",
        events_url=f"{root}/events",
        epas_url=f"{root}/epas/",
        steering_url=f"{root}/steering",
        bitrate_url=f"{root}/bitrate",
        heartbeat_interval_ms=gateway.config.heartbeat_interval_ms,
        expires_at=instant(opened.expires_at_ms),
    )
    return answer(body, status, NO_STORE)
