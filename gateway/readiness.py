"""Whether the broker has acknowledged lately: watched all the time, asked by /readyz."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from gateway.metrics import GatewayMetrics
from gateway.ports import Publishing
from streams.clock import Clock

PROBE_INTERVAL_S: Final = 0.5
IDLE_MS: Final = 1_000
"""Events' own acknowledgments count; only where there are none for so long a probe is sent."""
PROBE_TIMEOUT_MS: Final = 1_500
STALE_MS: Final = 4_000


class Readiness:
    """Ready while the broker's last sign of life is fresh."""

    def __init__(self, publisher: Publishing, *, clock: Clock) -> None:
        self._publisher = publisher
        self._clock = clock
        self._probed_at_ms = 0
        self._is_log_away = False

    def heard_ms_ago(self) -> int | None:
        """How long ago the broker acknowledged or answered; None: never yet."""
        now_ms = self._clock()
        moments = (self._probed_at_ms, self._publisher.last_acknowledged_at_ms)
        # What seems to come yet was heard before the clock was set back, who knows when.
        heard_at_ms = max((each for each in moments if 0 < each <= now_ms), default=None)
        return now_ms - heard_at_ms if heard_at_ms is not None else None

    @property
    def is_ready(self) -> bool:
        """Whether events would be taken now, as far as one can know."""
        heard_ms_ago = self.heard_ms_ago()
        return heard_ms_ago is not None and heard_ms_ago <= STALE_MS

    def is_log_away(self) -> bool:
        """Whether the broker was asked in vain, and long not heard: events need not be tried."""
        return self._is_log_away

    async def probe(self) -> None:
        """Asks the broker, unless it acknowledged a moment ago."""
        heard_ms_ago = self.heard_ms_ago()
        is_idle = heard_ms_ago is None or heard_ms_ago >= IDLE_MS
        if is_idle and await self._publisher.is_reachable(timeout_ms=PROBE_TIMEOUT_MS):
            self._probed_at_ms = self._clock()
        self._is_log_away = not self.is_ready

    async def run(self, metrics: GatewayMetrics) -> None:
        """Until cancelled; measures on the way how late the loop comes to its timers."""
        while True:
            expected_at_s = time.monotonic() + PROBE_INTERVAL_S
            await asyncio.sleep(PROBE_INTERVAL_S)
            metrics.loop_lag_seconds.set(max(0.0, time.monotonic() - expected_at_s))
            await self.probe()
