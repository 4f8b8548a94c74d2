"""What many people watch lately: counts that halve every week.

Kept as if counted at one reference time, so that time passing changes no number: a count of now
weighs 2^(age of the reference / half-life).
"""

from __future__ import annotations

import math
from typing import Final

HALF_LIFE_MS: Final = 7 * 86_400_000
_RESCALE_AT: Final = 500.0
"""Half-lives after which the reference moves, long before a float overflows."""


class Popularity:
    """Decayed counts by title; `add` in any order gives the same counts."""

    def __init__(self) -> None:
        self._counts: dict[str, float] = {}
        self._reference_ms = 0

    def add(self, content_id: str, weight: float, at_ms: int) -> None:
        """One watch of this weight at this time."""
        if not self._counts:
            self._reference_ms = at_ms
        exponent = (at_ms - self._reference_ms) / HALF_LIFE_MS
        if exponent > _RESCALE_AT:
            self._rescale(at_ms)
            exponent = 0.0
        if exponent > -_RESCALE_AT:
            grown = self._counts.get(content_id, 0.0) + weight * 2.0**exponent
            self._counts[content_id] = grown

    def log_share(self, content_id: str, total: float) -> float:
        """ln of the title's share of all counts, smoothed by one part in a thousand of `total`."""
        return math.log((self._counts.get(content_id, 0.0) + 1e-3 * total) / total)

    def total(self) -> float:
        """All counts together, at the reference; at least a little, so that it divides."""
        return max(sum(self._counts.values()), 1e-12)

    def get(self, content_id: str) -> float:
        """The title's count at the reference; 0 where nobody watched it."""
        return self._counts.get(content_id, 0.0)

    def _rescale(self, at_ms: int) -> None:
        factor = 2.0 ** ((self._reference_ms - at_ms) / HALF_LIFE_MS)
        self._counts = {key: count * factor for key, count in self._counts.items()}
        self._reference_ms = at_ms
