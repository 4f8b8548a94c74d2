"""How fast a replay may read, so that who watches now notices nothing of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


class Pace:
    """So many records a second on average; what was not used is lost but for the last chunk's.

    `rate_max` 0 is no limit.
    """

    def __init__(
        self,
        rate_max: int = 0,
        *,
        clock_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        assert rate_max >= 0
        self.rate_max = rate_max
        self._clock_s = clock_s
        self._sleep = sleep
        self._free_at_s = clock_s()

    async def spend(self, records: int) -> None:
        """Return when the next may be read; what handling these took counts as waited."""
        if not self.rate_max:
            return
        now_s = self._clock_s()
        span_s = records / self.rate_max
        # Time that was lost while ClickHouse was away is not caught up on: that would be a burst.
        self._free_at_s = max(now_s - span_s, self._free_at_s) + span_s
        if self._free_at_s > now_s:
            await self._sleep(self._free_at_s - now_s)
