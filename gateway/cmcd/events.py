"""What one CMCD event-mode line means as a playback event.

The gateway keeps nothing between requests, so each line maps alone, to one event or to none.
Which buffering was start-up, seek or stall is left to the session fold: it sees the order.

Identity is (session, ``cmcd-{instance}``, sequence), the sequence made of `ts` and then `sn`.
`sn` alone does not do: dash.js starts it again when an MPD brings CMCD parameters, Shaka when it
is configured anew, and every player when it loads again under the same collector URL. A re-sent
line is the same event byte for byte, for its id is derived from the same two. And the order is
that of the player's clock, in which a later `sn` comes later.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any
from zlib import crc32

import msgspec

from gateway.cmcd.redaction import redact_url
from gateway.cmcd.report import CmcdReport
from schemas.events import (
    Bandwidth,
    BitrateChanged,
    Buffering,
    Heartbeat,
    Interaction,
    Pause,
    Play,
    PlaybackError,
    PlaybackEvent,
    Playing,
    Seek,
    Stopped,
)
from schemas.ids import uuid7_text

# Sequences stay below 2^53, so times below the year 2109.
SEQUENCES_PER_MS = 2**11
AT_MS_MAX = 2**53 // SEQUENCES_PER_MS - 1
KBPS_MAX = 100_000_000

_Head = dict[str, Any]
_Builder = Callable[[CmcdReport, _Head], PlaybackEvent]


class CmcdSource(msgspec.Struct, frozen=True, kw_only=True):
    """Who posts: the session of the token, and the player instance of the collector URL."""

    session_id: str
    instance: str
    cdns: Mapping[str, str] = {}
    """CDN names by base URL, without a slash at its end: they name whose a reported URL is."""


def map_report(report: CmcdReport, source: CmcdSource) -> PlaybackEvent | None:
    """The event that a line tells of; None where it has no time or tells nothing we keep."""
    if report.at_ms is None or report.at_ms > AT_MS_MAX or report.event is None:
        return None
    build = _STATES.get(report.state or "") if report.event == "ps" else _EVENTS.get(report.event)
    return None if build is None else build(report, _head(report, source, report.at_ms))


def measure(report: CmcdReport, **head: Any) -> Bandwidth:
    """The network and buffer facts of a report; `head` gives the fields that every event has."""
    is_audio = report.object_type == "a"
    return Bandwidth(
        **head,
        measured_throughput_kbps=_kbps(
            _first(report.measured_throughput_kbps, report.audio_measured_throughput_kbps)
        ),
        latency_ms=report.ttfb_ms,
        buffer_length_ms=_first(report.buffer_length_ms, report.audio_buffer_length_ms),
        bitrate_kbps=_kbps(
            _first(report.audio_bitrate_kbps, report.bitrate_kbps)
            if is_audio
            else report.bitrate_kbps
        ),
        top_bitrate_kbps=_kbps(report.top_bitrate_kbps),
        object_type=report.object_type or "",
        object_duration_ms=report.object_duration_ms,
        transfer_ms=report.ttlb_ms,
        status=report.status if report.status is not None and report.status <= 999 else None,
        is_starved=bool(report.is_starved),
        playback_rate=report.playback_rate,
        url=redact_url(report.url or ""),
    )


def _playing(report: CmcdReport, head: _Head) -> PlaybackEvent:
    return Playing(**head, bitrate_kbps=_kbps(report.bitrate_kbps))


def _bitrate_changed(report: CmcdReport, head: _Head) -> PlaybackEvent:
    bitrate_kbps = _kbps(report.bitrate_kbps)
    if bitrate_kbps is None:
        return _heartbeat(report, head)
    return BitrateChanged(**head, bitrate_kbps=bitrate_kbps)


def _error(report: CmcdReport, head: _Head) -> PlaybackEvent:
    code = ",".join(report.error_codes)[:128]
    return PlaybackError(**head, code=code, is_fatal=report.state == "f")


def _custom(report: CmcdReport, head: _Head) -> PlaybackEvent:
    return Interaction(**head, name=(report.custom_event or "custom")[:128])


def _playback_rate(report: CmcdReport, head: _Head) -> PlaybackEvent:
    value = "" if report.playback_rate is None else str(report.playback_rate)
    return Interaction(**head, name="playback_rate", value=value)


def _interaction(name: str) -> _Builder:
    return lambda _report, head: Interaction(**head, name=name)


def _heartbeat(report: CmcdReport, head: _Head) -> Heartbeat:
    return Heartbeat(
        **head,
        bitrate_kbps=_kbps(report.bitrate_kbps),
        buffer_length_ms=_first(report.buffer_length_ms, report.audio_buffer_length_ms),
    )


def _head(report: CmcdReport, source: CmcdSource, at_ms: int) -> _Head:
    name = f"cmcd-{source.instance[:64]}"
    number = report.sequence_number
    if number is None:
        number = crc32(f"{report.event} {report.state} {report.url}".encode())
    sequence = at_ms * SEQUENCES_PER_MS + number % SEQUENCES_PER_MS
    identity = f"{source.session_id} {name} {sequence}".encode()
    return {
        "session_id": source.session_id,
        "source": name,
        "sequence": sequence,
        "id": uuid7_text(at_ms, blake2b(identity, digest_size=10).digest()),
        "at": datetime.fromtimestamp(at_ms / 1000, UTC),
        "playhead_ms": report.playhead_ms,
        "cdn": _name_cdn(report, source.cdns),
    }


def _name_cdn(report: CmcdReport, cdns: Mapping[str, str]) -> str:
    if report.cdn:
        return report.cdn[:64]
    url = report.url or ""
    return next((name for base, name in cdns.items() if url.startswith(f"{base}/")), "")


def _first(value: int | None, other: int | None) -> int | None:
    return other if value is None else value


def _kbps(value: int | None) -> int | None:
    """A rate that the event types hold; players on a loopback report more than any link has."""
    return value if value is not None and value <= KBPS_MAX else None


_STATES: dict[str, _Builder] = {
    "s": lambda _report, head: Play(**head),
    "d": lambda _report, head: Play(**head),
    "p": _playing,
    "r": lambda _report, head: Buffering(**head),
    "w": lambda _report, head: Buffering(**head),
    "k": lambda _report, head: Seek(**head),
    "a": lambda _report, head: Pause(**head),
    "e": lambda _report, head: Stopped(**head, reason="ended"),
    "q": lambda _report, head: Stopped(**head, reason="aborted"),
    # dash.js says so of decode errors that it recovers from: a later Playing overrules it.
    "f": lambda _report, head: PlaybackError(**head, code="player-state", message="state f"),
}

_EVENTS: dict[str, _Builder] = {
    "bc": _bitrate_changed,
    "ce": _custom,
    "e": _error,
    "rr": lambda report, head: measure(report, **head),
    "t": _heartbeat,
    "abe": _interaction("ad_break_end"),
    "abs": _interaction("ad_break_start"),
    "ae": _interaction("ad_end"),
    "as": _interaction("ad_start"),
    "b": _interaction("backgrounded"),
    "c": _interaction("content_changed"),
    "h": _interaction("host_changed"),
    "m": _interaction("mute"),
    "pc": _interaction("player_collapse"),
    "pe": _interaction("player_expand"),
    "pr": _playback_rate,
    "sk": _interaction("skip"),
    "um": _interaction("unmute"),
}
