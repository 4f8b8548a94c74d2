"""Reading events in short turns of the event loop, so that a license never waits behind many.

Decoding a batch takes a millisecond and more. Where dozens wait, each turn of the loop reads a few
of them, the urgent first, and everything else goes on in between. Where licenses are slow all the
same, because this process waits for the processor, events rest between their turns: a license is
seven turns of the loop, and what is admitted costs every other process of the machine, too.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from gateway.admission import URGENCIES, Urgency

TURN_BYTES: Final = 32 << 10
"""About 2 ms of decoding and encoding on one core; an answer takes several turns of the loop."""
WAIT_MS_MAX: Final[Mapping[Urgency, int]] = {
    "essential": 2_000,
    "interactions": 2_000,
    "measurements": 1_000,
    "bulk": 500,
}
"""Where the first one waits longer, no more of its class come in: a long queue helps nobody."""
LICENSE_MS_MAX: Final = 100
"""Slower ones make events rest longer: the promise is 250 ms for 999 of 1,000."""
LATE_MS_MAX: Final = 3.0
"""Where turns begin this much after they were due, the processor is what is missing; a license that
is slow for another reason is not helped by fewer events.
"""
LATE_SHARE: Final = 0.2
"""Of the newest turn in the smoothed lateness."""
REST_MS_FIRST: Final = 2.0
REST_MS_MAX: Final = 50.0
REST_GROWTH: Final = 1.5
REST_HALF_LIFE_S: Final = 10.0
"""At 20 licenses a second this lets 1 of 100 be slow, in balance with the growth."""


class Turns:
    """One per gateway."""

    def __init__(
        self, turn_bytes: int = TURN_BYTES, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._turn_bytes = turn_bytes
        self._monotonic = monotonic
        self._left_bytes = turn_bytes
        self._is_counting = False
        self._due_s = 0.0
        self._late_ms = 0.0
        self._rest_ms = 0.0
        self._grown_s = -math.inf
        self._waiting_count = 0
        self._waiting: dict[Urgency, deque[tuple[asyncio.Future[None], int, float]]] = {
            urgency: deque() for urgency in URGENCIES
        }

    async def wait(self, urgency: Urgency, count: int) -> None:
        """Returns when so many bytes may be read: at once, unless this turn has read enough."""
        if self._left_bytes > 0 and not self._waiting_count:
            self._left_bytes -= count
            self._count_on()
            return
        granted = asyncio.get_running_loop().create_future()
        self._waiting[urgency].append((granted, count, self._monotonic()))
        self._waiting_count += 1
        self._count_on()
        await granted

    def is_late(self, urgency: Urgency) -> bool:
        """Whether turns of this class come too late to take on more of it."""
        waiting = self._waiting[urgency]
        if not waiting:
            return False
        waited_s = self._monotonic() - waiting[0][2]
        return waited_s * 1000 > WAIT_MS_MAX[urgency]

    def rest_ms(self) -> float:
        """Between two turns, now."""
        if not self._rest_ms:
            return 0.0
        halvings = (self._monotonic() - self._grown_s) / REST_HALF_LIFE_S
        rest_ms: float = self._rest_ms * 0.5**halvings
        if rest_ms < REST_MS_FIRST / 4:
            self._rest_ms = rest_ms = 0.0
        return rest_ms

    def saw_license(self, took_ms: float) -> None:
        """A license was decided; what was asked before the last growth tells nothing of it."""
        if took_ms <= LICENSE_MS_MAX or self._late_ms <= LATE_MS_MAX:
            return
        now_s = self._monotonic()
        if now_s - took_ms / 1000 >= self._grown_s:
            grown_ms = max(self.rest_ms() * REST_GROWTH, REST_MS_FIRST)
            self._rest_ms, self._grown_s = min(grown_ms, REST_MS_MAX), now_s

    def _count_on(self) -> None:
        if self._is_counting:
            return
        self._is_counting = True
        rest_s = self.rest_ms() / 1000
        self._due_s = self._monotonic() + rest_s
        loop = asyncio.get_running_loop()
        if rest_s:
            loop.call_later(rest_s, self._begin_turn)
        else:
            loop.call_soon(self._begin_turn)

    def _begin_turn(self) -> None:
        self._is_counting = False
        late_ms = (self._monotonic() - self._due_s) * 1000
        self._late_ms += LATE_SHARE * (late_ms - self._late_ms)
        self._left_bytes = self._turn_bytes
        if not self._waiting_count:
            return
        for waiting in self._waiting.values():
            while waiting and self._left_bytes > 0:
                granted, count, _ = waiting.popleft()
                self._waiting_count -= 1
                if not granted.done():  # its client may have gone
                    granted.set_result(None)
                    self._left_bytes -= count
        self._count_on()
