"""The event that benchmarks send: one heartbeat like the other, but for its number."""

from __future__ import annotations

from datetime import UTC, datetime

from schemas import codec
from schemas.events import Heartbeat, Stamp


def heartbeat_around_sequence(
    session_id: str, source: str, stamp: Stamp | None = None
) -> tuple[bytes, bytes]:
    """What stands before and behind `"sequence":0` in its JSON."""
    event = Heartbeat(
        session_id=session_id,
        source=source,
        sequence=0,
        at=datetime.now(UTC),
        playhead_ms=61_200,
        bitrate_kbps=2000,
        buffer_length_ms=12_000,
        stamp=stamp,
    )
    head, _, tail = codec.encode(event).partition(b'"sequence":0')
    return head, tail
