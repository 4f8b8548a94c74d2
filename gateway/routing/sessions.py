"""Sessions and their events."""

from __future__ import annotations

from typing import Final

from gateway import collector, events, eventsink, sessions
from gateway.bodies import EventsAccepted, EventsPartlyAccepted, NewSession, SessionAnswer
from gateway.epas.report import EpasAnswer, EpasReport
from gateway.routing.route import (
    COUNTED,
    JSON,
    NDJSON,
    PROFILE_TOKEN,
    Body,
    Query,
    Route,
    json_body,
)
from gateway.wire import LENIENT_ITEM

_EVENTS: Final = Body(
    content={JSON: LENIENT_ITEM | list[LENIENT_ITEM], NDJSON: LENIENT_ITEM, "text/plain": None},
    bytes_max="events_body_bytes_max",
    says=COUNTED,
)
_EPAS: Final = Body(
    content={JSON: EpasReport, "text/plain": None},
    bytes_max="event_bytes_max",
    says="Refusals are problems with EPAS's sessionId, message and valid beside.",
)
_EPAS_ANSWERS: Final = {200: EpasAnswer}
_EVENTS_ANSWERS: Final = {202: EventsAccepted, 207: EventsPartlyAccepted}

SESSION_ROUTES: Final[tuple[Route, ...]] = (
    Route(
        name="openSession",
        method="POST",
        path="/v1/sessions",
        handler=sessions.open_session,
        says="Opens a session, where the license agent allows it",
        traffic="license",
        access="viewer",
        headers=PROFILE_TOKEN,
        body=json_body(NewSession),
        answers={201: SessionAnswer},
        problems=(402, 403, 404),
        turned_away="with 503",
    ),
    Route(
        name="extendSession",
        method="POST",
        path="/v1/sessions/{session_id}/extension",
        handler=sessions.extend_session,
        says="A new token for a session that goes on",
        traffic="license",
        access="viewer or session",
        answers={200: SessionAnswer},
        problems=(403, 404),
    ),
    Route(
        name="endSession",
        method="DELETE",
        path="/v1/sessions/{session_id}",
        handler=sessions.end_session,
        says="Ends a session and frees its slot",
        traffic="license",
        access="viewer or session",
        answers={204: None},
        problems=(403, 404),
    ),
    Route(
        name="postEvents",
        method="POST",
        path="/v1/events",
        handler=events.post_events,
        says="One event, an array, or NDJSON; 202 means that all are durable",
        traffic="interactions",
        turned_away="with 503",
        access="session or ingest",
        body=_EVENTS,
        answers=_EVENTS_ANSWERS,
        problems=(403,),
    ),
    Route(
        name="postSessionEvents",
        method="POST",
        path="/s/{session_token}/events",
        handler=events.post_session_events,
        says="As /v1/events, without a header",
        traffic="interactions",
        turned_away="with 503",
        access="session",
        body=_EVENTS,
        answers=_EVENTS_ANSWERS,
    ),
    Route(
        name="postCmcd",
        method="POST",
        path="/s/{session_token}/cmcd/{source}",
        handler=collector.collect,
        says="CMCD v2 event mode; 204 to everything",
        traffic="measurements",
        turned_away="silently",
        body=Body(content={"application/cmcd": None}, bytes_max="events_body_bytes_max"),
        answers={204: None},
    ),
    Route(
        name="postEpas",
        method="POST",
        path="/epas/",
        handler=eventsink.post_event,
        says="One event of the Eyevinn Player Analytics Specification; 200: it is durable",
        traffic="interactions",
        access="session or ingest",
        body=_EPAS,
        query={eventsink.TOKEN_PARAMETER: Query(says="for SDKs that send no Authorization header")},
        answers=_EPAS_ANSWERS,
    ),
    Route(
        name="postSessionEpas",
        method="POST",
        path="/s/{session_token}/epas/",
        handler=eventsink.post_session_event,
        says="As /epas/: the eventsink URL for an EPAS SDK",
        traffic="interactions",
        access="session",
        body=_EPAS,
        answers=_EPAS_ANSWERS,
    ),
)
