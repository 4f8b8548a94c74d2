"""What many people watch lately: counts that halve every two hours, day or week, or by region.

Kept as if counted at one reference time, so that time passing changes no number: a count of now
weighs 2^(age of the reference / half-life).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

HOURS_MS: Final = 2 * 3_600_000
DAY_MS: Final = 86_400_000
WEEK_MS: Final = 7 * DAY_MS
REGIONS_MAX: Final = 300
"""ISO 3166-1 has 249."""
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

    def add(self, title: int, weight: float, at_ms: int) -> None:
        """One watch of this weight at this time."""
        if self._reference_ms is None:
            self._reference_ms = at_ms
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

    def shares(self, titles: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """(titles,): each one's share of all counts, 0 to 1."""
        total = max(float(self._counts.sum()), np.finfo(float).tiny)
        return self.counts(titles) / total

    def log_shares(self, size: int) -> npt.NDArray[np.float32]:
        """(size,): ln of each title's share of all counts, smoothed; equal where there are none."""
        total = max(float(self._counts.sum()), np.finfo(float).tiny / _SMOOTHING)
        shares = np.zeros(size, dtype=np.float32)
        known = self._counts[:size]
        shares[: len(known)] = known / total
        logs: npt.NDArray[np.float32] = np.log(shares + np.float32(_SMOOTHING))
        return logs


class Regions:
    """Popularity of a day by region. Watches whose region is not known count in none."""

    def __init__(self) -> None:
        self._regions: dict[str, Popularity] = {}

    def add(self, region: str, title: int, weight: float, at_ms: int) -> None:
        """One watch of this weight at this time."""
        if region and region not in self._regions and len(self._regions) < REGIONS_MAX:
            self._regions[region] = Popularity(DAY_MS)
        if region in self._regions:
            self._regions[region].add(title, weight, at_ms)

    def shares(self, region: str, titles: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """(titles,): each one's share of what the region watched, 0 to 1."""
        found = self._regions.get(region)
        return np.zeros(len(titles)) if found is None else found.shares(titles)
