"""How urgent a body of events is, judged by what is known before it costs anything.

By path, length, a `Priority` header (RFC 9218), and the first bytes where they came with the head.
Nothing of it can raise a POST above what its path and length allow, and what is not shown is not
believed: so claiming another class gains nothing.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.admission import TrafficClass, Urgency

LIVE_BODY_BYTES_MAX: Final = 16 << 10
"""Players post what happened in the last seconds; more than this was gathered for later."""
BULK_URGENCY_MIN: Final = 5
"""RFC 9218, section 4.1: 3 unless told, 7 for what runs in the background."""

_URGENCY: Final = re.compile(r"(?:^|[,\s])u=([0-7])(?:$|[,;\s])")
_INTERACTION: Final = re.compile(rb'"(?:type|event)"\s*+:\s*+"(?!heartbeat"|bandwidth")')
"""`event` is what the EPAS eventsink calls it."""


def urgency_of(
    traffic: TrafficClass, length_bytes: int | None, priority: str = "", start: bytes | None = None
) -> Urgency:
    """The class of a body.

    `length_bytes` is what Content-Length says, None for a chunked body; `start` the first bytes,
    None where they are not known or compressed.
    """
    if traffic not in {"interactions", "measurements"}:
        return "essential"
    if length_bytes is None or length_bytes > LIVE_BODY_BYTES_MAX:
        return "bulk"
    if priority and is_background(priority):
        return "bulk"
    if traffic == "measurements" or start is None:
        return "measurements"
    return "interactions" if _INTERACTION.search(start) else "measurements"


def is_background(priority: str) -> bool:
    """Whether a `Priority` header says that this may wait."""
    said = _URGENCY.search(priority)
    return said is not None and int(said[1]) >= BULK_URGENCY_MIN
