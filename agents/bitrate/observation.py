"""What an event tells of a session's network and buffer, whichever player or edge it is from."""

from __future__ import annotations

from typing import Final

import msgspec

from agents.bitrate.fetched import Fetched, find_fetched
from schemas.catalog import Title
from schemas.events import (
    Bandwidth,
    BitrateChanged,
    Heartbeat,
    Pause,
    PlaybackEvent,
    Playing,
    Seek,
)

BYTES_MIN: Final = 16 * 1024
"""Smaller objects measure the latency, not the throughput."""

_NOT_VIDEO: Final = frozenset({"a", "c", "i", "k", "m", "o", "tt"})
_HTTP_OK: Final = frozenset({200, 206})


class Observation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One report; what it does not tell is None."""

    source: str
    sequence: int
    at_ms: int
    fetched: str = ""
    """Which object: player and edge may both report the same transfer."""
    transfer_kbps: int | None = None
    """Bytes over time of one video object."""
    transfer_bytes: int | None = None
    """Of that object."""
    segment: int | None = None
    """Which of the title's segments was fetched, from 0."""
    estimate_kbps: int | None = None
    """The player's own estimate (CMCD `mtp`): smoothed, so second choice."""
    buffer_length_ms: int | None = None
    is_starved: bool = False
    playing_bitrate_kbps: int | None = None
    is_paused: bool | None = None
    is_seek: bool = False


def observe_event(event: PlaybackEvent, title: Title | None, at_ms: int) -> Observation | None:
    """The event as an observation; None where it says nothing about network or buffer."""
    match event:
        case Bandwidth():
            return _observe_bandwidth(event, title, at_ms)
        case Heartbeat():
            return Observation(
                source=event.source,
                sequence=event.sequence,
                at_ms=at_ms,
                buffer_length_ms=event.buffer_length_ms,
                playing_bitrate_kbps=event.bitrate_kbps,
            )
        case Playing() | BitrateChanged():
            return Observation(
                source=event.source,
                sequence=event.sequence,
                at_ms=at_ms,
                playing_bitrate_kbps=event.bitrate_kbps,
                is_paused=False if isinstance(event, Playing) else None,
            )
        case Pause() | Seek():
            return Observation(
                source=event.source,
                sequence=event.sequence,
                at_ms=at_ms,
                is_paused=True if isinstance(event, Pause) else None,
                is_seek=isinstance(event, Seek),
            )
        case _:
            return None


def _observe_bandwidth(event: Bandwidth, title: Title | None, at_ms: int) -> Observation:
    fetched = find_fetched(title, event.url) if title is not None and event.url else None
    is_video = event.object_type not in _NOT_VIDEO and (fetched is None or fetched.is_video)
    object_bytes = _transferred_bytes(event, fetched) if is_video else None
    return Observation(
        source=event.source,
        sequence=event.sequence,
        at_ms=at_ms,
        fetched=_object_name(event.url),
        transfer_kbps=_kbps(object_bytes, event.transfer_ms),
        transfer_bytes=object_bytes,
        segment=fetched.segment if fetched is not None and is_video else None,
        estimate_kbps=event.measured_throughput_kbps or None,
        # dash.js and Shaka tell the sound's buffer with the sound's requests.
        buffer_length_ms=event.buffer_length_ms if is_video else None,
        is_starved=event.is_starved,
        playing_bitrate_kbps=event.bitrate_kbps if is_video else None,
    )


def _kbps(object_bytes: int | None, transfer_ms: int | None) -> int | None:
    if object_bytes is None or transfer_ms is None:
        return None
    return max(1, object_bytes * 8 // max(1, transfer_ms))


def _transferred_bytes(event: Bandwidth, fetched: Fetched | None) -> int | None:
    """None where nothing was measured, or too little to measure by."""
    if event.transfer_ms is None or event.status not in {None, *_HTTP_OK}:
        return None
    object_bytes = event.object_bytes
    if object_bytes is None and fetched is not None:
        object_bytes = fetched.object_bytes
    if object_bytes is None and event.object_duration_ms and event.bitrate_kbps:
        object_bytes = event.bitrate_kbps * event.object_duration_ms // 8
    if object_bytes is None or object_bytes < BYTES_MIN:
        return None
    return object_bytes


def _object_name(url: str) -> str:
    """The end of the path, which a player's URL and an edge's path have in common."""
    return "/".join(url.partition("?")[0].rsplit("/", 2)[-2:])
