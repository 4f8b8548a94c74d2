"""What the sessions before went through: a bounded memory of situations and what followed them.

It is learned from the reports that sessions make anyway, works from the first one on, and forgets
the oldest. A situation that is looked up gets those most like it, in the network's behavior first
and, where they are known, in network, device class, edge and hour.
"""

from __future__ import annotations

import math
from typing import Final
from zlib import crc32

import msgspec
import numpy as np
import numpy.typing as npt

from agents.bitrate.compiled import compiled
from agents.bitrate.situation import (
    FEATURES,
    WEIGHTS,
    describe,
    estimate_rate,
)

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

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
ELSEWHERE: Final = 0.5
"""Squared distance for another network, device class or edge: half a spread of a feature or so.
Recorded traces tell nothing of these, so it is a guess that behavior outweighs soon."""
OTHER_HOUR: Final = 0.5
"""Squared distance for the opposite hour of the day."""
AGE_MS: Final = 14 * 86_400_000
"""So much older counts as one more in squared distance."""
HOUR_UNKNOWN: Final = -1


class Circumstances(msgspec.Struct, frozen=True, kw_only=True):
    """Where and when a session takes place; empty: not known, which is like all others."""

    network: str = ""
    device: str = ""
    edge: str = ""
    hour: int = HOUR_UNKNOWN
    """Of the day, 0 to 23, on the viewer's clock."""


class Neighbors(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The situations most like the present one."""

    curves: Floats
    """Neighbors × GRID_S: received since, in units of the estimate then, so 1 a second is par."""
    distances: Floats
    """Squared."""


class Population:
    """The memory of one worker: situations, and how sessions started."""

    def __init__(self, situations_max: int = SITUATIONS_MAX, starts_max: int = STARTS_MAX) -> None:
        self._situations = _Ring(situations_max, FEATURES)
        self._starts = _Ring(starts_max, 0)
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

    def _scale(self) -> None:
        """Measure the features' spreads anew after every eighth more situations."""
        learned = self._situations.learned
        if learned * 8 < self._scaled_at * 9:
            return
        spreads = self._situations.spreads()
        self._scales = WEIGHTS / np.maximum(spreads, SPREADS_MIN)
        self._scaled_at = max(1, learned)


class _Ring:
    """The newest situations; each new one takes the place of the oldest."""

    def __init__(self, places: int, features: int) -> None:
        self.learned = 0
        self._features: Singles = np.zeros((places, features), dtype=np.float32)
        self._curves: Singles = np.zeros((places, len(GRID_S)), dtype=np.float32)
        self._places = np.zeros((places, 3), dtype=np.int64)
        self._hours = np.full(places, HOUR_UNKNOWN, dtype=np.int64)
        self._at_ms = np.zeros(places, dtype=np.int64)

    def __len__(self) -> int:
        return min(self.learned, len(self._features))

    @property
    def size_bytes(self) -> int:
        kept = (self._features, self._curves, self._places, self._hours, self._at_ms)
        return sum(array.nbytes for array in kept)

    def add(
        self, situation: Floats, curve: Floats, circumstances: Circumstances, at_ms: int
    ) -> None:
        slot = self.learned % len(self._features)
        self._features[slot] = situation
        self._curves[slot] = curve
        self._places[slot] = _places(circumstances)
        self._hours[slot] = circumstances.hour
        self._at_ms[slot] = at_ms
        self.learned += 1

    def spreads(self) -> Floats:
        """Of each feature; zeros while there is nothing."""
        if not len(self):
            return np.zeros(self._features.shape[1])
        return np.asarray(self._features[: len(self)].std(axis=0, dtype=np.float64))

    def nearest(
        self,
        situation: Floats,
        scales: Floats,
        circumstances: Circumstances,
        now_ms: int,
        count: int,
    ) -> Neighbors:
        known = len(self)
        distances = _distances(
            self._features[:known],
            self._places[:known],
            self._hours[:known],
            self._at_ms[:known],
            situation,
            scales,
            _places(circumstances),
            circumstances.hour,
            now_ms,
        )
        if count >= known:
            chosen = np.arange(known)
        else:
            chosen = np.argpartition(distances, count - 1)[:count]
        return Neighbors(
            curves=self._curves[chosen].astype(np.float64), distances=distances[chosen]
        )


def curve_of(sizes_bytes: Floats, download_s: Floats) -> Floats:
    """Bytes received at each time of GRID_S; after the last download it goes on at their mean."""
    times_s = np.concatenate([np.zeros(1), np.cumsum(download_s)])
    received = np.concatenate([np.zeros(1), np.cumsum(sizes_bytes)])
    curve = np.interp(GRID_S, times_s, received)
    beyond_s = np.maximum(GRID_S - times_s[-1], 0.0)
    return np.asarray(curve + beyond_s * (received[-1] / times_s[-1]))


def _places(circumstances: Circumstances) -> npt.NDArray[np.int64]:
    names = (circumstances.network, circumstances.device, circumstances.edge)
    return np.array([crc32(name.encode()) if name else 0 for name in names], dtype=np.int64)


@compiled
def _distances(
    features: Singles,
    places: npt.NDArray[np.int64],
    hours: npt.NDArray[np.int64],
    at_ms: npt.NDArray[np.int64],
    situation: Floats,
    scales: Floats,
    here: npt.NDArray[np.int64],
    hour: int,
    now_ms: int,
) -> Floats:
    distances = np.empty(len(features))
    for index in range(len(features)):
        distance = 0.0
        for feature in range(len(situation)):
            apart = (features[index, feature] - situation[feature]) * scales[feature]
            distance += apart * apart
        for place in range(len(here)):
            known = here[place] != 0 and places[index, place] != 0
            if known and here[place] != places[index, place]:
                distance += ELSEWHERE
        if hour >= 0 and hours[index] >= 0:
            turn = np.cos((hour - hours[index]) * np.pi / 12.0)
            distance += OTHER_HOUR * 0.5 * (1.0 - turn)
        distance += max(now_ms - at_ms[index], 0) / AGE_MS
        distances[index] = distance
    return distances
