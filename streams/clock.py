"""The wall clock as a port: decisions take `now_ms`, shells take a `Clock`."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Unix milliseconds."""


def system_clock() -> int:
    """The machine's clock."""
    return time.time_ns() // 1_000_000


def steady_clock() -> int:
    """Milliseconds since some moment; for durations alone: nobody sets it back or forward."""
    return time.monotonic_ns() // 1_000_000


def has_passed(duration_ms: int, since_ms: int, now_ms: int) -> bool:
    """Whether so long has passed, by a clock that may be set.

    Where it was set back behind `since_ms` nobody knows: what is due every so often is due then,
    and not only when the clock has got there again.
    """
    return not 0 <= now_ms - since_ms < duration_ms
