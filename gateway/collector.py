"""The CMCD collector: 204 whatever comes, for players storm a collector that says anything else.

It waits a moment for the broker. What is not stored, now or later, is counted as shed.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from aiohttp import web

from gateway.answers import nothing
from gateway.cmcd.events import CmcdSource, map_report
from gateway.cmcd.parser import parse_event_body
from gateway.express import AGAIN, Again
from gateway.gateway import Gateway, gateway_of
from gateway.ledger import Outcome
from gateway.problems import ProblemError
from gateway.recording import topic_of
from gateway.region import Place
from gateway.stamping import Stamped, is_readable, stamp_of
from schemas.events import Stamp
from schemas.sessions import SessionClaims
from streams.producer import UnavailableError
from streams.topics import PLAYBACK_EVENTS

log = logging.getLogger(__name__)


async def collect(request: web.Request) -> web.Response:
    """`POST /s/{session_token}/cmcd/{source}`."""
    gateway = gateway_of(request)
    now_ms = gateway.now_ms()
    try:
        token = request.match_info["session_token"]
        claims = gateway.auth.session_of_events(token)
        limits = gateway.limits
        body = await gateway.intake.read_events(
            request,
            "measurements",
            limits.events_body_bytes_max,
            limits.events_inflated_bytes_max,
        )
    except ProblemError as error:
        outcomes: dict[int, Outcome] = {503: "shed", 401: "unauthenticated"}
        outcome = outcomes.get(error.problem.status, "refused")
        gateway.recorder.count(PLAYBACK_EVENTS, outcome, 1, now_ms)
        log.info("a CMCD report was not taken: %s", error.problem.reason)
        return nothing()
    place, instance = gateway.place(request), request.match_info["source"]
    await _take(gateway, claims, place, instance, body)
    request[AGAIN] = Again(partial(_take_again, gateway, token, place, instance))
    return nothing()


async def _take_again(
    gateway: Gateway, token: str, place: Place, instance: str, body: bytes
) -> bytes:
    """A body whose head is known."""
    await _take(gateway, gateway.auth.session_of_events(token), place, instance, body)
    return b""


async def _take(
    gateway: Gateway, claims: SessionClaims, place: Place, instance: str, body: bytes
) -> None:
    now_ms = gateway.now_ms()
    source = CmcdSource(session_id=claims.sid, instance=instance, cdns=gateway.cdn_names)
    events = _read(gateway, source, stamp_of(claims, place, "cmcd", now_ms), body)
    if events:
        await _store_for_a_while(gateway, events, now_ms)


def _read(gateway: Gateway, source: CmcdSource, stamp: Stamp, body: bytes) -> list[Stamped]:
    mapped = (map_report(report, source) for report in parse_event_body(body))
    events = [event for event in mapped if event is not None]
    readable: list[Stamped] = [(event, stamp) for event in events if is_readable(event)]
    refused = len(events) - len(readable)
    gateway.recorder.count(PLAYBACK_EVENTS, "refused", refused, stamp.received_at_ms)
    return readable


async def _store_for_a_while(gateway: Gateway, events: Sequence[Stamped], now_ms: int) -> None:
    storing = gateway.beside.start(_store(gateway, events, now_ms))
    if storing is None:
        for event, _ in events:
            gateway.recorder.count(topic_of(event), "shed", 1, now_ms)
        return
    await gateway.beside.wait(storing, gateway.limits.cmcd_wait_ms / 1000)


async def _store(gateway: Gateway, events: Sequence[Stamped], now_ms: int) -> None:
    try:
        await gateway.recorder.record(events, now_ms, lost_as="shed")
    except UnavailableError as error:
        log.warning("%d CMCD events were shed: %s", len(events), error)
