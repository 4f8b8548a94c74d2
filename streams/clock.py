"""The wall clock as a port: decisions take `now_ms`, shells take a `Clock`."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Unix milliseconds."""


def system_clock() -> int:
    """The machine's clock."""
    return time.time_ns() // 1_000_000
