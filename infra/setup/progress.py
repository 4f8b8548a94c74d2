"""Says on standard output how far the set-up is, with the standard library alone."""

from __future__ import annotations

import sys
import time


class Progress:
    """One step: redrawn in place on a terminal, a line at its start and end elsewhere."""

    def __init__(self, title: str, total: int = 0) -> None:
        self._title = title
        self._total = total
        self._done = 0
        self._started_at_s = time.monotonic()
        self._is_terminal = sys.stdout.isatty()
        if not self._is_terminal:
            print(f"  {title} …", flush=True)

    def advance(self, name: str) -> None:
        """One more of `total` is there."""
        self._done += 1
        self.show(f"{min(self._done, self._total)}/{self._total} {name}")

    def show(self, what: str) -> None:
        """Redraw the line."""
        if self._is_terminal:
            print(f"\r\033[K  {self._title}: {what}", end="", flush=True)

    def finish(self) -> None:
        """Leave a line with the time that the step took."""
        start = "\r\033[K" if self._is_terminal else ""
        took_s = time.monotonic() - self._started_at_s
        print(f"{start}✓ {self._title} in {took_s:.1f} s", flush=True)
