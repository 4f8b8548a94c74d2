"""What an event tells of a CDN: one fetch, good or bad."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

import msgspec

from schemas.events import Bandwidth, PlaybackError, PlaybackEvent, PlaybackWarning

_NO_ANSWER: Final = 0
"""CMCD `rc` where the request got no answer at all."""
_CDN_FAULTS: Final = frozenset({_NO_ANSWER, 404, 408, 410, 421, 429})
"""And all of 5xx. 401 and 403 are not the CDN's fault: the session was refused."""

_PICTURES: Final = frozenset({"v", "av", ""})
"""CMCD `ot` of what a buffer is measured by; empty: not said."""

_MEDIA_FETCH_CODES: Final = frozenset(
    {
        # Shaka Player: bad HTTP status, HTTP error, time-out.
        "1001",
        "1002",
        "1003",
        # dash.js: a segment index, a segment, or an initialization segment could not be loaded.
        "15",
        "17",
        "26",
        "27",
        "28",
        # hls.js
        "fragLoadError",
        "fragLoadTimeOut",
    }
)
"""Manifests, playlists and keys are the gateway's: their errors are not here."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One fetch from a CDN."""

    cdn: str
    at_ms: int
    is_error: bool
    is_unanswered: bool = False
    """An error without any status: the CDN is gone, or the player gave the request up itself."""
    throughput_kbps: int | None = None
    latency_ms: int | None = None
    is_late: bool = False
    """A good answer that took longer than what it holds plays: a buffer shrank."""
    size_bytes: int = 0
    media_ms: int = 0
    """What was fetched plays so long; 0 where it is sound beside a picture, or unknown."""
    is_of_edge: bool = False
    """An edge's log tells it; the player may tell it as well."""


class CdnOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """A configured CDN and where it is."""

    name: str
    url: str


def outcome_of(
    event: PlaybackEvent, cdns: Iterable[CdnOrigin], at_ms: int, last_cdn: str | None
) -> Outcome | None:
    """The event as a CDN's outcome; None where it tells of none of the configured ones.

    `last_cdn` is the one that the session used last: an error that names none is its.
    """
    match event:
        case Bandwidth() if event.status is not None or event.transfer_ms is not None:
            cdn = cdn_of(event, cdns)
            if cdn is None:
                return None
            is_error = event.status is not None and is_cdn_fault(event.status)
            return Outcome(
                cdn=cdn,
                at_ms=at_ms,
                is_error=is_error,
                is_unanswered=event.status == _NO_ANSWER,
                throughput_kbps=None if is_error else _throughput_kbps(event),
                latency_ms=None if is_error else event.latency_ms,
                is_late=not is_error and _is_late(event),
                size_bytes=0 if is_error else _size_bytes(event),
                media_ms=0 if is_error else _media_ms(event),
                is_of_edge=event.stamp is not None and event.stamp.via == "edge",
            )
        case PlaybackError() | PlaybackWarning() if _is_media_fetch(event.code):
            cdn = cdn_of(event, cdns) or last_cdn
            return None if cdn is None else Outcome(cdn=cdn, at_ms=at_ms, is_error=True)
        case _:
            return None


def cdn_of(event: PlaybackEvent, cdns: Iterable[CdnOrigin]) -> str | None:
    """The configured CDN that an event names, or that the URL in it is of."""
    url = event.url if isinstance(event, Bandwidth) else ""
    origin = _origin(url) if url else None
    for cdn in cdns:
        if event.cdn == cdn.name or (origin is not None and origin == _origin(cdn.url)):
            return cdn.name
    return None


def is_cdn_fault(status: int) -> bool:
    """Whether an HTTP status says that the CDN failed."""
    return status in _CDN_FAULTS or 500 <= status <= 599


def _is_media_fetch(code: str) -> bool:
    return any(part in _MEDIA_FETCH_CODES for part in code.split(","))


def _throughput_kbps(event: Bandwidth) -> int | None:
    if event.object_bytes and event.transfer_ms:
        return event.object_bytes * 8 // event.transfer_ms
    return event.measured_throughput_kbps


def _is_late(event: Bandwidth) -> bool:
    if event.object_type not in _PICTURES or event.transfer_ms is None:
        return False
    return event.transfer_ms > (event.object_duration_ms or event.transfer_ms)


def _size_bytes(event: Bandwidth) -> int:
    """As measured; else of a picture as its encoded rate has it: hls.js tells the same of sound."""
    if event.object_bytes is not None:
        return event.object_bytes
    if event.object_type not in _PICTURES:
        return 0
    return (event.bitrate_kbps or 0) * (event.object_duration_ms or 0) // 8


def _media_ms(event: Bandwidth) -> int:
    return event.object_duration_ms or 0 if event.object_type in _PICTURES else 0


def _origin(url: str) -> tuple[str, str] | None:
    try:
        parts = urlsplit(url)
        netloc = parts.netloc.lower()
    except ValueError:
        return None
    return (parts.scheme.lower(), netloc) if netloc else None
