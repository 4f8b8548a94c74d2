"""What many people watch lately: counts that halve every week.

Kept as if counted at one reference time, so that time passing changes no number: a count of now
weighs 2^(age of the reference / half-life).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

HALF_LIFE_MS: Final = 7 * 86_400_000
_HALF_LIVES_MAX: Final = 500.0
"""Then the reference moves, long before a float overflows; what is so old counts nothing."""
_SMOOTHING: Final = 1e-3
"""Of all counts: what a title has that nobody watched."""


class Popularity:
    """Decayed counts by a title's number; adding in any order gives the same counts."""

    def __init__(self) -> None:
        self._counts = np.zeros(64)
        self._reference_ms: int | None = None

    def add(self, title: int, weight: float, at_ms: int) -> None:
        """One watch of this weight at this time."""
        if self._reference_ms is None:
            self._reference_ms = at_ms
        half_lives = (at_ms - self._reference_ms) / HALF_LIFE_MS
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

    def log_shares(self, titles: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """ln of each title's share of all counts, smoothed; all equal where nothing was watched."""
        total = max(float(self._counts.sum()), np.finfo(float).tiny / _SMOOTHING)
        return np.log(self.counts(titles) / total + _SMOOTHING)
