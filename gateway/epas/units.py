"""What an EPAS playhead counts in: the text of the specification says ms, its types say seconds.

The web SDK reports a media element's seconds, as the types say; SDKs written after the text report
milliseconds. Nothing on the wire tells them apart but the numbers themselves.
"""

from __future__ import annotations

from math import sqrt
from typing import Final

MS_PER_S: Final = 1_000
SECONDS_MAX: Final = 86_400
"""Longer contents are not thought to be meant where their length is not known."""


def ms_per_unit(playhead: float | None, duration: float | None, content_ms: int | None) -> int:
    """1000 or 1. `content_ms` is the content's length, where it is known."""
    told = [value for value in (playhead, duration) if value is not None and value > 0]
    if not told or any(value % 1 for value in told):
        return MS_PER_S
    seconds_max: float = SECONDS_MAX
    if content_ms:
        content_s = content_ms / MS_PER_S
        # A duration is about the content's: which power of ten is nearer. A playhead is below it.
        has_duration = duration is not None and duration > 0
        seconds_max = content_s * (sqrt(MS_PER_S) if has_duration else 1.1)
    return MS_PER_S if max(told) <= seconds_max else 1


def as_ms(value: float | None, unit_ms: int) -> int | None:
    """None where it is not known, which EPAS writes as -1."""
    return None if value is None or value < 0 else round(value * unit_ms)
