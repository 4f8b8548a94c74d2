"""How many questions to an agent may be open at once: as many as it answers in time.

An agent that has more to do than it can is not helped by a queue: all would wait, and time out
together. So the number follows the answers: one more where they are quick, a part less where one is
slow or does not come (additive increase, multiplicative decrease, as TCP has it: RFC 5681, section
3.1). What comes above it is refused at once.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from gateway.problems import unavailable

OPEN_MIN: Final = 8
"""Never fewer, however slow: somebody has to find out that it is quick again."""
OPEN_START: Final = 256
OPEN_MAX: Final = 2_000
QUICK_MS: Final = 120
"""Half of what a viewer may wait for a license: a deployment that is well answers in a tenth."""
DECREASE: Final = 0.8
ARRIVING_S_MAX: Final = 0.25
"""From the door to the question; a client may leave in between."""
TOO_MANY: Final = "too many licenses are being decided"
INCREASE: Final = 4.0
"""For as many quick answers as may be open."""


class Pace:
    """One per gateway and agent; counts what is open."""

    def __init__(
        self,
        on_answer: Callable[[float], None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_answer` is told how many milliseconds each question took."""
        self._on_answer = on_answer
        self._monotonic = monotonic
        self._open_max = float(OPEN_START)
        self._cut_s = 0.0
        """What was asked before the last cut says nothing about what came after it."""
        self.open_count = 0
        self._arriving_s: deque[float] = deque()
        """When each was let in that has not asked yet, oldest first."""

    @property
    def open_max(self) -> int:
        """As of now."""
        return int(self._open_max)

    def let_in(self) -> bool:
        """Whether one more may come; between the door and its question it counts as open."""
        now_s = self._monotonic()
        while self._arriving_s and now_s - self._arriving_s[0] > ARRIVING_S_MAX:
            self._arriving_s.popleft()
        if self.open_count + len(self._arriving_s) >= self.open_max:
            return False
        self._arriving_s.append(now_s)
        return True

    def leave(self) -> None:
        """One that was let in is answered without a question, as for a token that is not good."""
        if self._arriving_s:
            self._arriving_s.popleft()

    @contextmanager
    def question(self) -> Iterator[None]:
        """Around a question and its answer; raises ProblemError 503 where there are too many."""
        if self.open_count >= self.open_max:
            raise unavailable("not_stored", "overloaded", TOO_MANY)
        self.leave()
        asked_s = self._monotonic()
        self.open_count += 1
        try:
            yield
        finally:
            self._learn(asked_s)
            self.open_count -= 1

    def _learn(self, asked_s: float) -> None:
        now_s = self._monotonic()
        took_ms = (now_s - asked_s) * 1000
        self._on_answer(took_ms)
        if took_ms > QUICK_MS:
            # A few that are slow wait for something else than for one another.
            if asked_s >= self._cut_s and self.open_count > OPEN_MIN // 2:
                self._open_max = max(OPEN_MIN, self._open_max * DECREASE)
                self._cut_s = now_s
        elif self._open_max < OPEN_START or self.open_count * 2 > self._open_max:
            # Beyond where it began it only grows where it is needed: nobody has tried the rest.
            self._open_max = min(OPEN_MAX, self._open_max + INCREASE / self._open_max)
