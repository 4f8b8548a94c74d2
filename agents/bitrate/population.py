"""What the sessions before went through: a bounded memory of situations and what followed them.

It is learned from the reports that sessions make anyway, works from the first one on, and forgets
the oldest. A situation that is looked up gets those most like it, in the network's behavior first
and, where they are known, in network, device class, edge and hour.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from agents.bitrate.memory import Circumstances, Floats, Neighbors, Ring
from agents.bitrate.situation import (
    FEATURES,
    WEIGHTS,
    describe,
    estimate_rate,
)
from schemas.bitrate import PopulationBlock

GRID_S: Final[Floats] = np.concatenate(
    [np.arange(0.0, 12.0), np.arange(12.0, 30.0, 2.0), np.arange(30.0, 91.0, 5.0)]
)
"""Times of a curve's points: finer where the next chunks arrive."""
SITUATIONS_MAX: Final = 16_384
"""Some 4 MB, and a tenth of a millisecond to search."""
SITUATIONS_PER_SESSION_MAX: Final = 64
"""A long film must not push everybody else out."""
STARTS_MAX: Final = 1_024
FOLLOWED_MIN: Final = 3
"""Downloads after a situation; fewer say too little of what followed."""

SPREADS_MIN: Final = 0.05
LAYOUT: Final = f"1:{FEATURES}:{len(GRID_S)}"
"""Of what is told of situations; another first number where one is described in another way."""


class Population:
    """The memory of one worker: situations, and how sessions started."""

    def __init__(self, situations_max: int = SITUATIONS_MAX, starts_max: int = STARTS_MAX) -> None:
        self._situations = Ring("situations", situations_max, FEATURES, len(GRID_S))
        self._starts = Ring("starts", starts_max, 0, len(GRID_S))
        self._scales = np.ones(FEATURES)
        self._scaled_at = 0

    def __len__(self) -> int:
        """Situations remembered."""
        return len(self._situations)

    @property
    def size_bytes(self) -> int:
        """Of all that is kept; never grows."""
        return self._situations.size_bytes + self._starts.size_bytes

    def learn(
        self,
        sizes_bytes: Floats,
        download_s: Floats,
        *,
        circumstances: Circumstances,
        at_ms: int,
        learned: int = 0,
    ) -> int:
        """Remember a session's downloads, oldest first; returns how many situations it had.

        The arrays are of one length and hold what is above zero. The first `learned` downloads
        are only what came before; with none of them, this is the session's start.
        """
        if len(sizes_bytes) == 0:
            return 0
        rates = sizes_bytes / download_s
        nothing = np.zeros(0)
        if learned == 0:
            self._starts.add(nothing, curve_of(sizes_bytes, download_s), circumstances, at_ms)
        ends = range(max(1, learned), len(rates) - FOLLOWED_MIN + 1)
        ends = ends[:: max(1, math.ceil(len(ends) / SITUATIONS_PER_SESSION_MAX))]
        for end in ends:
            received = curve_of(sizes_bytes[end:], download_s[end:])
            curve = received / estimate_rate(rates[:end])
            self._situations.add(
                describe(sizes_bytes[:end], download_s[:end]), curve, circumstances, at_ms
            )
        return len(ends)

    def nearest(
        self, situation: Floats, circumstances: Circumstances, now_ms: int, count: int
    ) -> Neighbors:
        """The `count` situations most like this one, or all where there are fewer."""
        self._scale()
        return self._situations.nearest(situation, self._scales, circumstances, now_ms, count)

    def nearest_starts(self, circumstances: Circumstances, now_ms: int, count: int) -> Neighbors:
        """How the `count` sessions most like this one began; curves are in bytes."""
        nothing = np.zeros(0)
        return self._starts.nearest(nothing, nothing, circumstances, now_ms, count)

    def blocks_changed(self, worker: str) -> Iterator[PopulationBlock]:
        """What was learned since this was asked last, to be recalled by the next worker."""
        for memory in (self._situations, self._starts):
            yield from memory.blocks_changed(worker, LAYOUT)

    def recall(self, blocks: Iterable[PopulationBlock]) -> None:
        """Learn what workers have told; blocks of another layout say nothing here."""
        known = [block for block in blocks if block.layout == LAYOUT]
        for memory in (self._situations, self._starts):
            memory.recall(known)

    def _scale(self) -> None:
        """Measure the features' spreads anew after every eighth more situations."""
        learned = self._situations.learned
        if learned * 8 < self._scaled_at * 9:
            return
        spreads = self._situations.spreads()
        self._scales = WEIGHTS / np.maximum(spreads, SPREADS_MIN)
        self._scaled_at = max(1, learned)


def curve_of(sizes_bytes: Floats, download_s: Floats) -> Floats:
    """Bytes received at each time of GRID_S; after the last download it goes on at their mean."""
    times_s = np.concatenate([np.zeros(1), np.cumsum(download_s)])
    received = np.concatenate([np.zeros(1), np.cumsum(sizes_bytes)])
    curve = np.interp(GRID_S, times_s, received)
    beyond_s = np.maximum(GRID_S - times_s[-1], 0.0)
    return np.asarray(curve + beyond_s * (received[-1] / times_s[-1]))
