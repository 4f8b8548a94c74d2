"""What the machine has left for tests that measure time."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

STARVED_LOAD_PER_CORE = 4.0
CALM_BUSY_RATIO_MAX = 0.2
LOOK_S = 1.0


def is_starved() -> bool:
    """Whether several others wait for each core: then no deadline can be held."""
    return os.getloadavg()[0] > STARVED_LOAD_PER_CORE * (os.cpu_count() or 1)


async def is_calm() -> bool:
    """Whether nearly all of the machine is free now; call it while nothing of ours runs."""
    busy, total = _jiffies()
    await asyncio.sleep(LOOK_S)
    busy_after, total_after = _jiffies()
    return busy_after - busy < CALM_BUSY_RATIO_MAX * (total_after - total)


def _jiffies() -> tuple[int, int]:
    """Busy ones and all, over all cores (Linux)."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    counts = [int(field) for field in fields]
    idle = counts[3] + counts[4]
    return sum(counts) - idle, sum(counts)
