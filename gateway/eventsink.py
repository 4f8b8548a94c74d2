"""The EPAS eventsink: one event per POST, answered in the shape of that specification.

Its SDKs can neither set a header nor send anything again. So the session token stands in the URL
that they are given, and a 200 still means that Kafka acknowledged the event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
from aiohttp import web

from gateway.answers import DETAIL_CHARS_MAX, answer
from gateway.epas.events import map_report
from gateway.epas.report import (
    EpasAnswer,
    EpasProblem,
    EpasReport,
    report_decoder,
)
from gateway.events import reporter_of
from gateway.gateway import Gateway, gateway_of
from gateway.problems import ProblemError, unavailable
from gateway.reading import form_of, is_uuid
from gateway.stamping import bare_stamp, is_readable, stamp_of
from schemas.errors import InvalidMessageError
from schemas.events import Event, Stamp
from schemas.sessions import SessionClaims
from streams.producer import UnavailableError
from streams.topics import PLAYBACK_EVENTS

TOKEN_PARAMETER: Final = "session_token"  # noqa: S105 - its name
_MESSAGES: Final = {400: "Invalid player event", 503: "Queue service unavailable"}


@dataclass(frozen=True, slots=True)
class Sender:
    """Who vouches for the event; no claims where a back end does."""

    claims: SessionClaims | None
    stamp: Stamp


async def post_session_event(request: web.Request) -> web.Response:
    """`POST /s/{session_token}/epas/`."""
    return await _post(request, request.match_info[TOKEN_PARAMETER])


async def post_event(request: web.Request) -> web.Response:
    """`POST /epas/`: the token in the query, or as bearer: a session's, or a back end's."""
    return await _post(request, request.query.get(TOKEN_PARAMETER))


async def _post(request: web.Request, session_token: str | None) -> web.Response:
    gateway = gateway_of(request)
    now_ms = gateway.now_ms()
    client_session_id = ""
    try:
        sender = _sender(gateway, request, session_token, now_ms)
        raw, report = await _read(gateway, request, now_ms)
        client_session_id = report.client_session_id or ""
        event = _event(gateway, sender, report, raw, now_ms)
        await gateway.recorder.record([(event, sender.stamp)], now_ms)
    except UnavailableError as error:
        raise _as_epas(unavailable(error.outcome), client_session_id) from error
    except ProblemError as error:
        raise _as_epas(error, client_session_id) from error
    named = report.client_session_id or event.session_id
    if report.event == "init":
        interval_ms = gateway.config.heartbeat_interval_ms
        return answer(EpasAnswer(client_session_id=named, heartbeat_interval_ms=interval_ms))
    return answer(EpasAnswer(client_session_id=named, valid=True))


def _sender(
    gateway: Gateway, request: web.Request, session_token: str | None, now_ms: int
) -> Sender:
    claims = reporter_of(gateway, request, session_token, now_ms)
    if claims is None:
        return Sender(claims=None, stamp=bare_stamp("ingest", now_ms))
    return Sender(claims=claims, stamp=stamp_of(claims, gateway.place(request), "sdk", now_ms))


async def _read(gateway: Gateway, request: web.Request, now_ms: int) -> tuple[bytes, EpasReport]:
    if form_of(request.headers.get("Content-Type", "")) == "ndjson":
        raise ProblemError(415, "media-type", "one event as application/json")
    raw = await gateway.intake.read_events(request, "interactions", gateway.limits.event_bytes_max)
    try:
        return raw, report_decoder.decode(raw)
    except InvalidMessageError as error:
        raise _refused(gateway, error, now_ms) from error


def _event(gateway: Gateway, sender: Sender, report: EpasReport, raw: bytes, now_ms: int) -> Event:
    """The event as the log takes it; ProblemError 400 where it is none."""
    content_ms = None
    if sender.claims is not None:
        session_id = sender.claims.sid
        title = gateway.views.titles.get(sender.claims.content_id)
        content_ms = title.duration_ms if title is not None else None
    else:
        session_id = report.client_session_id or ""
        if not is_uuid(session_id):
            raise ProblemError(400, "session-id", "with an ingest token it is that of our session")
    try:
        event = map_report(report, raw, session_id=session_id, content_ms=content_ms)
    except InvalidMessageError as error:
        raise _refused(gateway, error, now_ms) from error
    if not is_readable(event):
        raise _refused(gateway, InvalidMessageError("schema", "a value is out of range"), now_ms)
    return event


def _refused(gateway: Gateway, error: InvalidMessageError, now_ms: int) -> ProblemError:
    gateway.recorder.count(PLAYBACK_EVENTS, "refused", 1, now_ms)
    return ProblemError(400, error.reason, error.detail[:DETAIL_CHARS_MAX])


def _as_epas(error: ProblemError, client_session_id: str) -> ProblemError:
    problem = error.problem
    error.problem = EpasProblem(
        **msgspec.structs.asdict(problem),
        client_session_id=client_session_id or -1,
        message=_MESSAGES.get(problem.status, problem.title),
        valid=False,
    )
    return error
