"""What many people watch lately: counts that halve every two hours, day or week, or by group.

Kept as if counted at one reference time, so that time passing changes no number: a count of now
weighs 2^(age of the reference / half-life).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

HOURS_MS: Final = 2 * 3_600_000
DAY_MS: Final = 86_400_000
WEEK_MS: Final = 7 * DAY_MS
GROUPS_MAX: Final = 300
"""ISO 3166-1 has 249 regions; what clients call their systems is theirs."""
GROUP_PRIOR: Final = 20.0
"""So many watches of everybody's taste are added to a group's own: a few say little."""
_HALF_LIVES_MAX: Final = 500.0
"""Then the reference moves, long before a float overflows; what is so old counts nothing."""
_SMOOTHING: Final = 1e-4
"""Of all counts: what a title has that nobody watched."""


class Popularity:
    """Decayed counts by a title's number; adding in any order gives the same counts."""

    def __init__(self, half_life_ms: int = WEEK_MS) -> None:
        self._half_life_ms = half_life_ms
        self._counts = np.zeros(64)
        self._reference_ms: int | None = None
        self.newest_ms = 0
        """Of the latest watch."""

    def add(self, title: int, weight: float, at_ms: int) -> None:
        """One watch of this weight at this time."""
        if self._reference_ms is None:
            self._reference_ms = at_ms
        self.newest_ms = max(self.newest_ms, at_ms)
        half_lives = (at_ms - self._reference_ms) / self._half_life_ms
        if half_lives > _HALF_LIVES_MAX:
            self._counts *= 2.0 ** -min(half_lives, 2 * _HALF_LIVES_MAX)
            self._reference_ms = at_ms
            half_lives = 0.0
        if title >= len(self._counts):
            self._counts = np.pad(self._counts, (0, max(title, len(self._counts))))
        if half_lives > -_HALF_LIVES_MAX:
            self._counts[title] += weight * 2.0**half_lives

    def counts(self, titles: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """The counts of these titles, all to the same unknown scale."""
        counts = np.zeros(len(titles))
        known = titles < len(self._counts)
        counts[known] = self._counts[titles[known]]
        return counts

    def scale(self, at_ms: int) -> float:
        """What makes watches of a count: one at this time counts 1, one a half-life ago a half."""
        return math.pow(2.0, ((self._reference_ms or at_ms) - at_ms) / self._half_life_ms)

    def total(self) -> float:
        """Of all counts."""
        return float(self._counts.sum())

    def shares(self, titles: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """(titles,): each one's share of all counts, 0 to 1."""
        total = max(self.total(), np.finfo(float).tiny)
        return self.counts(titles) / total

    def log_shares(self, size: int) -> npt.NDArray[np.float32]:
        """(size,): ln of each title's share of all counts, smoothed; equal where there are none."""
        total = max(self.total(), np.finfo(float).tiny / _SMOOTHING)
        shares = np.zeros(size, dtype=np.float32)
        known = self._counts[:size]
        shares[: len(known)] = known / total
        logs: npt.NDArray[np.float32] = np.log(shares + np.float32(_SMOOTHING))
        return logs


class Groups:
    """Popularity by group: a region, or the system of a device. Watches of an unknown one count in
    none."""

    def __init__(self, half_life_ms: int = DAY_MS) -> None:
        self._half_life_ms = half_life_ms
        self._groups: dict[str, Popularity] = {}

    def add(self, group: str, title: int, weight: float, at_ms: int) -> None:
        """One watch of this weight at this time."""
        if group and group not in self._groups and len(self._groups) < GROUPS_MAX:
            self._groups[group] = Popularity(self._half_life_ms)
        if group in self._groups:
            self._groups[group].add(title, weight, at_ms)

    def shares(self, group: str, titles: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """(titles,): each one's share of what the group watched, 0 to 1."""
        found = self._groups.get(group)
        return np.zeros(len(titles)) if found is None else found.shares(titles)

    def lift(
        self, group: str, everybody: Popularity, titles: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        """(titles,): ln of how much more the group watches each than everybody does.

        0 for an unknown group, and nearer to 0 the less it watched of late. `everybody` forgets as
        fast as the groups do.
        """
        found = self._groups.get(group)
        if found is None:
            return np.zeros(len(titles), dtype=np.float32)
        scale = found.scale(everybody.newest_ms)
        expected = everybody.shares(titles) + _SMOOTHING
        own = scale * found.counts(titles) + GROUP_PRIOR * expected
        shares = own / (scale * found.total() + GROUP_PRIOR)
        lift: npt.NDArray[np.float32] = np.log(shares / expected).astype(np.float32)
        return lift
