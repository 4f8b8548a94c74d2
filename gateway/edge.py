"""The only interface of a CDN edge: decisions out, logs in."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from gateway.answers import NO_STORE, answer
from gateway.bodies import EventsAccepted, EventsPartlyAccepted
from gateway.counting import require_count, split_count
from gateway.events import none_taken
from gateway.gateway import Gateway, gateway_of
from gateway.measuring import event_of_edge_log
from gateway.problems import RefusedItem
from gateway.reading import is_uuid
from gateway.stamping import bare_stamp
from schemas import codec
from schemas.delivery import EdgeDecision, EdgeLog
from schemas.errors import InvalidMessageError
from schemas.events import Event
from streams.topics import PLAYBACK_BANDWIDTH

NDJSON: Final = "application/x-ndjson"
KEEP_ALIVE_MS: Final = 5_000
RECENT_MS: Final = 86_400_000
"""A session lives at most a day: older decisions are of no use to an edge."""
WRITE_BYTES: Final = 64 << 10

_line: Final[codec.Decoder[EdgeLog]] = codec.Decoder(EdgeLog)


async def get_decisions(request: web.Request) -> web.StreamResponse:
    """Every recent ceiling and refusal, then each change; a blank line where there is none."""
    gateway = gateway_of(request)
    gateway.auth.admin(request, "edge", "operator")
    response = web.StreamResponse(headers={**NO_STORE, "Content-Type": NDJSON})
    feed = gateway.views.changes
    subscription = feed.subscribe()
    try:
        await response.prepare(request)
        await _write(gateway, response, b"\n" + _lines(gateway, _recent(gateway)))
        while not gateway.is_draining:
            changed = await subscription.next_changes(KEEP_ALIVE_MS)
            await _write(gateway, response, _lines(gateway, changed) or b"\n")
    except (ConnectionError, TimeoutError):
        pass  # the edge went away, or does not read: it comes again
    finally:
        feed.unsubscribe(subscription)
    return response


async def post_logs(request: web.Request) -> web.Response:
    """Lines of what an edge served, each a measurement of its session."""
    gateway = gateway_of(request)
    gateway.auth.admin(request, "edge", "operator")
    now_ms = gateway.now_ms()
    limits = gateway.limits
    body = await gateway.intake.read_events(
        request, "measurements", limits.events_body_bytes_max, limits.events_inflated_bytes_max
    )
    events, refused = read_logs(body)
    gateway.recorder.count(PLAYBACK_BANDWIDTH, "refused", len(refused), now_ms)
    if not events and refused:
        raise none_taken(refused)
    if events:
        stamp = bare_stamp("edge", now_ms)
        await gateway.recorder.record([(event, stamp) for event in events], now_ms)
    if not refused:
        return answer(EventsAccepted(accepted=len(events)), 202)
    return answer(EventsPartlyAccepted(accepted=len(events), refused=tuple(refused)), 207)


def read_logs(body: bytes) -> tuple[list[Event], list[RefusedItem]]:
    """Each line as an event, or why it is none; ProblemError where lines are missing."""
    events: list[Event] = []
    refused: list[RefusedItem] = []
    announced, rest = split_count(body)
    lines = [line for line in rest.split(b"\n") if line.strip()]
    require_count(announced, len(lines))
    for index, raw in enumerate(lines):
        try:
            line = _line.decode(raw)
        except InvalidMessageError as error:
            refused.append(RefusedItem(index=index, status=400, reason=error.reason))
            continue
        event = event_of_edge_log(line) if is_uuid(line.session_id) else None
        if event is None:
            refused.append(RefusedItem(index=index, status=400, reason="schema"))
        else:
            events.append(event)
    return events, refused


def _recent(gateway: Gateway) -> list[str]:
    since_ms = gateway.now_ms() - RECENT_MS
    views = gateway.views
    decided = [key for key, each in views.bitrates.items() if each.decided_at_ms >= since_ms]
    refused = [key for key, each in views.controls.items() if each.at_ms >= since_ms]
    return list(dict.fromkeys(decided + refused))


def _lines(gateway: Gateway, session_ids: list[str]) -> bytes:
    return b"".join(
        codec.encode(decision_of(gateway, session_id)) + b"\n" for session_id in session_ids
    )


def decision_of(gateway: Gateway, session_id: str) -> EdgeDecision:
    """What an edge is told of a session now."""
    bitrate = gateway.views.bitrates.get(session_id)
    return EdgeDecision(
        session_id=session_id,
        ceiling_kbps=bitrate.ceiling_kbps if bitrate is not None else None,
        is_refused=gateway.auth.is_refused(session_id),
    )


async def _write(gateway: Gateway, response: web.StreamResponse, data: bytes) -> None:
    for start in range(0, len(data), WRITE_BYTES):
        async with asyncio.timeout(gateway.limits.body_deadline_ms / 1000):
            await response.write(data[start : start + WRITE_BYTES])
