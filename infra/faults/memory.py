"""How large each component may become (I10)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MIB: Final = 1 << 20
BOUNDS_BYTES: Final = {"gateway": 256 * MIB, "analytics": 400 * MIB}
OTHER_BYTES_MAX: Final = 400 * MIB
UNBOUND: Final = frozenset({"kafka", "clickhouse"})
"""Their own settings bound them: the heap, and what the server may take for queries."""


def beyond_bounds(peaks: Mapping[str, int]) -> list[str]:
    """Components that were larger than they may be; `peaks` in bytes."""
    return [
        name
        for name, peak in peaks.items()
        if name not in UNBOUND and peak > BOUNDS_BYTES.get(name, OTHER_BYTES_MAX)
    ]
