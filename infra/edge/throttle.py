"""One throttle over all responses of the edge, as a slow link would be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

CHUNK_S = 0.02
# Timers wake late; what is lost so is caught up within this time, and the rate holds.
BURST_S = 0.05
CHUNK_BYTES_MIN = 512
CHUNK_BYTES_MAX = 64 << 10
THROTTLE_KBPS_MIN = 16
THROTTLE_KBPS_MAX = 10_000_000


def chunk_bytes_at(bytes_per_s: float) -> int:
    """How much goes at once at this rate, within bounds."""
    return min(CHUNK_BYTES_MAX, max(CHUNK_BYTES_MIN, int(bytes_per_s * CHUNK_S)))


class TokenBucket:
    """Pure: says how long bytes must wait so that no more than the rate passes.

    The burst is what an idle bucket saves up.
    """

    def __init__(self, *, bytes_per_s: float, burst_bytes: int = 0) -> None:
        assert bytes_per_s > 0
        self.bytes_per_s = bytes_per_s
        self._burst_s = burst_bytes / bytes_per_s
        self._busy_until_s = float("-inf")

    def reserve_s(self, size_bytes: int, now_s: float) -> float:
        """Takes the bytes' place behind all earlier ones; the seconds until they have passed."""
        start_s = max(self._busy_until_s, now_s - self._burst_s)
        self._busy_until_s = start_s + size_bytes / self.bytes_per_s
        return max(0.0, self._busy_until_s - now_s)


class Throttle:
    """The edge's link: free, or at so many kbps shared by all who read."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._bucket: TokenBucket | None = None
        self.kbps: int | None = None

    def set_kbps(self, kbps: int | None) -> None:
        """Holds from the next chunk on, for responses under way too."""
        self.kbps = kbps
        bytes_per_s = (kbps or 0) * 125
        self._bucket = (
            TokenBucket(bytes_per_s=bytes_per_s, burst_bytes=int(bytes_per_s * BURST_S))
            if kbps is not None
            else None
        )

    def chunk_bytes(self) -> int:
        """Small chunks make an even flow, on which a player's estimate is right."""
        if self._bucket is None:
            return CHUNK_BYTES_MAX
        return chunk_bytes_at(self._bucket.bytes_per_s)

    async def wait_for(self, size_bytes: int) -> None:
        """Returns when the bytes have passed the link."""
        if self._bucket is not None:
            await asyncio.sleep(self._bucket.reserve_s(size_bytes, self._now_s()))
