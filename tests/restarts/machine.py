"""What the machine has left for tests that measure time."""

from __future__ import annotations

import os
import time
from pathlib import Path

STARVED_LOAD_PER_CORE = 4.0
CALM_FOREIGN_RATIO_MAX = 0.15


def is_starved() -> bool:
    """Whether several others wait for each core: then no deadline can be held."""
    return os.getloadavg()[0] > STARVED_LOAD_PER_CORE * (os.cpu_count() or 1)


class ForeignLoad:
    """What others take of the machine, from the making of it on (Linux)."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._busy_before_s = _busy_s()

    def is_small(self, ours_s: float) -> bool:
        """Whether others left the machine nearly alone, given the CPU-seconds that we used."""
        available_s = (time.monotonic() - self._began_s) * (os.cpu_count() or 1)
        foreign_s = _busy_s() - self._busy_before_s - ours_s
        return foreign_s <= CALM_FOREIGN_RATIO_MAX * available_s


def _busy_s() -> float:
    """CPU-seconds that all cores together have worked."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    ticks = [int(field) for field in fields]
    idle = ticks[3] + ticks[4]
    return (sum(ticks) - idle) / os.sysconf("SC_CLK_TCK")
