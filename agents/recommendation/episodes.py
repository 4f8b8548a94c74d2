"""Which title comes right before which in a series, as the catalog tells it."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np

from agents.recommendation.numbers import Ints
from schemas.catalog import Episode, Title

NONE: Final = -1
"""Instead of a place: nothing comes before."""


class Episodes:
    """Places of the catalog that are episodes."""

    def __init__(self) -> None:
        self._episodes: dict[int, Episode] = {}
        self._before: Ints | None = None

    def put(self, place: int, title: Title | None) -> None:
        """Take what the catalog says of a place now; None: it is removed."""
        episode = None if title is None or not title.listed else title.episode
        if self._episodes.get(place) == episode:
            return
        self._episodes.pop(place, None)
        if episode is not None:
            self._episodes[place] = episode
        self._before = None

    def before(self, count: int) -> Ints:
        """(count,): by place, that of the episode before it, or NONE."""
        if self._before is None or len(self._before) != count:
            self._before = self._found(count)
        return self._before

    def _found(self, count: int) -> Ints:
        order = sorted(
            self._episodes,
            key=lambda place: (
                self._episodes[place].series,
                self._episodes[place].season,
                self._episodes[place].number,
            ),
        )
        before = np.full(count, NONE, dtype=np.int64)
        for place, following in pairwise(order):
            if self._episodes[place].series == self._episodes[following].series:
                before[following] = place
        return before
