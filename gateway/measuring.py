"""What players say of themselves in request mode, and what edges log: bandwidth events.

The gateway sees each request once, so it numbers these by itself: its name is the source.
"""

from __future__ import annotations

import logging
from hashlib import blake2b

import msgspec
from aiohttp import web

from gateway.cmcd.events import measure
from gateway.cmcd.parser import parse_request
from gateway.cmcd.redaction import redact_url
from gateway.cmcd.report import CmcdReport
from gateway.gateway import Gateway, instant
from gateway.recording import topic_of
from gateway.stamping import Stamped, is_readable, stamp_of
from schemas.delivery import EdgeLog
from schemas.events import Bandwidth
from schemas.ids import uuid7
from schemas.sessions import SessionClaims
from streams.producer import UnavailableError

AT_MS_MAX = 253_402_300_799_999
URL_CHARS_MAX = 4_096

log = logging.getLogger(__name__)


def measure_request(gateway: Gateway, request: web.Request, claims: SessionClaims) -> None:
    """Publishes the request's CMCD, if it has any, beside the request; may be shed."""
    query = request.query.get("CMCD")
    report = parse_request(query, request.headers)
    if report is None or not _tells_something(report):
        return
    now_ms = gateway.now_ms()
    event = measure(
        report,
        session_id=claims.sid,
        source=f"cmcd-request-{gateway.config.name}",
        sequence=gateway.next_sequence(),
        id=str(uuid7(now_ms, gateway.ports.randomness(10))),
        at=instant(now_ms),
        playhead_ms=report.playhead_ms,
    )
    stamp = stamp_of(claims, gateway.place(request), "cmcd", now_ms)
    if is_readable(event) and gateway.beside.start(_publish(gateway, (event, stamp))) is None:
        gateway.recorder.count(topic_of(event), "shed", 1, now_ms)


async def _publish(gateway: Gateway, event: Stamped) -> None:
    try:
        await gateway.recorder.record((event,), event[1].received_at_ms, lost_as="shed")
    except UnavailableError as error:
        log.debug("a measurement was shed: %s", error)


def _tells_something(report: CmcdReport) -> bool:
    return any(
        value is not None
        for value in (
            report.measured_throughput_kbps,
            report.audio_measured_throughput_kbps,
            report.buffer_length_ms,
            report.audio_buffer_length_ms,
            report.bitrate_kbps,
            report.audio_bitrate_kbps,
        )
    )


def event_of_edge_log(line: EdgeLog) -> Bandwidth | None:
    """One response of an edge as a measurement; of the session only the id is known.

    None where a number is out of what events hold.
    """
    if line.at_ms > AT_MS_MAX:
        return None
    report = parse_request(line.cmcd, {}) or CmcdReport()
    identity = blake2b(f"{line.source}\x1f{line.sequence}".encode(), digest_size=10).digest()
    measured = measure(
        report,
        session_id=line.session_id,
        source=line.source,
        sequence=line.sequence,
        id=str(uuid7(line.at_ms, identity)),
        at=instant(line.at_ms),
        cdn=line.edge,
        playhead_ms=report.playhead_ms,
    )
    event = msgspec.structs.replace(
        measured,
        object_bytes=line.bytes_sent,
        transfer_ms=line.duration_ms,
        status=line.status,
        url=redact_url(line.path)[:URL_CHARS_MAX],
    )
    return event if is_readable(event) else None
