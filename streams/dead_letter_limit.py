"""How many records may become dead letters before it must be the worker that is broken.

A bad deploy would otherwise drain a whole topic into dead letters. One bad record, or a hundred
that a client wrote, stop nothing.
"""

from __future__ import annotations

from typing import Final

import msgspec

from schemas.errors import StopWorkerError
from streams.clock import Clock

NEVER_OURS: Final = frozenset({"not-json", "empty", "key"})
"""No version of this program wrote these bytes or would read them: they say nothing about it."""


class DeadLetterRule(msgspec.Struct, frozen=True, kw_only=True):
    """Both must be exceeded in one window."""

    window_ms: int = 60_000
    letters_max: int = 200
    share_max: float = 0.2
    """Of the records read in the window."""


class DeadLetterLimit:
    """Counts one topic's records and letters, window by window."""

    def __init__(self, clock: Clock, rule: DeadLetterRule | None = None) -> None:
        self._clock = clock
        self._rule = rule or DeadLetterRule()
        self._since_ms = clock()
        self._records = 0
        self._letters = 0

    def count_records(self, count: int) -> None:
        """So many were read; called before the letters among them are counted."""
        now_ms = self._clock()
        if now_ms - self._since_ms >= self._rule.window_ms:
            self._since_ms, self._records, self._letters = now_ms, 0, 0
        self._records += count

    def count_letter(self, topic: str, reason: str) -> None:
        """Raises StopWorkerError where the record must not become a letter any more."""
        if reason in NEVER_OURS:
            return
        self._letters += 1
        rule = self._rule
        if self._letters > rule.letters_max and self._letters > rule.share_max * self._records:
            raise StopWorkerError(
                f"{self._letters} of {self._records} records of {topic} would be dead letters"
                f" ({reason}): this worker is more likely broken than they are"
            )
