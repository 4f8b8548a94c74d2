"""How each thing that a viewer does went, over time."""

from __future__ import annotations

import time
from collections import defaultdict
from itertools import groupby
from typing import NamedTuple


class Attempt(NamedTuple):
    """One request: when it began and ended (monotonic seconds), and its status; 0: no answer."""

    began_s: float
    ended_s: float
    status: int

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300


def by_success(attempt: Attempt) -> bool:
    return attempt.is_good


class Attempts:
    """By the name of what was done."""

    def __init__(self) -> None:
        self._by_name: dict[str, list[Attempt]] = defaultdict(list)

    def note(self, name: str, began_s: float, status: int) -> None:
        self._by_name[name].append(Attempt(began_s, time.monotonic(), status))

    def good_count(self, name: str) -> int:
        return sum(attempt.is_good for attempt in self._by_name[name])

    def statuses_of_failures(self, since_s: float) -> dict[str, set[int]]:
        """What failed at all since then, and how."""
        return {
            name: failed
            for name in self._by_name
            if (failed := {each.status for each in self._since(name, since_s) if not each.is_good})
        }

    def longest_failure_count(self, name: str, since_s: float) -> int:
        """How many attempts in a row failed at most since then."""
        attempts = self._since(name, since_s)
        runs = (list(run) for is_good, run in groupby(attempts, by_success) if not is_good)
        return max(map(len, runs), default=0)

    def recovery_s(self, name: str, killed_at_s: float) -> float:
        """From the kill to the first success that no failure follows; 0 where none failed."""
        failed = [a for a in self._by_name[name] if not a.is_good and a.ended_s >= killed_at_s]
        if not failed:
            return 0.0
        last_failed_s = max(attempt.ended_s for attempt in failed)
        good = [a.ended_s for a in self._by_name[name] if a.is_good and a.began_s >= last_failed_s]
        return min(good, default=float("inf")) - killed_at_s

    def _since(self, name: str, since_s: float) -> list[Attempt]:
        return [attempt for attempt in self._by_name[name] if attempt.ended_s >= since_s]
