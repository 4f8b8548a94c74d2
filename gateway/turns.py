"""Reading events in short turns of the event loop, so that a license never waits behind many.

Decoding a batch takes a millisecond and more. Where dozens wait, each turn of the loop reads a few
of them, the urgent first, and everything else goes on in between.
"""

from __future__ import annotations

import asyncio
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


class Turns:
    """One per gateway."""

    def __init__(
        self, turn_bytes: int = TURN_BYTES, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._turn_bytes = turn_bytes
        self._monotonic = monotonic
        self._left_bytes = turn_bytes
        self._is_counting = False
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

    def _count_on(self) -> None:
        if not self._is_counting:
            self._is_counting = True
            asyncio.get_running_loop().call_soon(self._begin_turn)

    def _begin_turn(self) -> None:
        self._is_counting = False
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
