"""The newest situations of many sessions, each with what followed it, and which are most like one.

Rows lie in arrays of fixed size, so memory never grows; blocks of them are what lasts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import reduce
from operator import or_
from typing import Final
from zlib import crc32

import msgspec
import numpy as np
import numpy.typing as npt

from agents.bitrate.compiled import compiled
from schemas.bitrate import PopulationBlock

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

BLOCK_ROWS: Final = 256
"""Some 50 kB: as much as a record of a topic should have."""
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
    """Neighbors × times: received since, in units of the estimate then, so 1 a second is par."""
    distances: Floats
    """Squared."""


class Ring:
    """The newest situations; each new one takes the place of the oldest."""

    def __init__(self, name: str, places: int, features: int, points: int) -> None:
        """Of `places` situations with so many features, and curves with so many points."""
        self.learned = 0
        self._name = name
        self._told = 0
        self._features: Singles = np.zeros((places, features), dtype=np.float32)
        self._curves: Singles = np.zeros((places, points), dtype=np.float32)
        self._places = np.zeros((places, 3), dtype=np.int64)
        self._hours = np.full(places, HOUR_UNKNOWN, dtype=np.int64)
        self._at_ms = np.zeros(places, dtype=np.int64)

    def __len__(self) -> int:
        return min(self.learned, len(self._features))

    @property
    def size_bytes(self) -> int:
        """Of the arrays; never grows."""
        kept = (self._features, self._curves, self._places, self._hours, self._at_ms)
        return sum(array.nbytes for array in kept)

    def add(
        self, situation: Floats, curve: Floats, circumstances: Circumstances, at_ms: int
    ) -> None:
        """One more; the oldest one makes room."""
        self._put(situation, curve, _places(circumstances), circumstances.hour, at_ms)

    def _put(
        self,
        situation: npt.NDArray[np.floating],
        curve: npt.NDArray[np.floating],
        places: npt.NDArray[np.int64],
        hour: int,
        at_ms: int,
    ) -> None:
        slot = self.learned % len(self._features)
        self._features[slot] = situation
        self._curves[slot] = curve
        self._places[slot] = places
        self._hours[slot] = hour
        self._at_ms[slot] = at_ms
        self.learned += 1

    def blocks_changed(self, worker: str, layout: str) -> Iterator[PopulationBlock]:
        """What was learned since the last time, in whole blocks."""
        places = len(self._features)
        first, self._told = max(self._told, self.learned - places), self.learned
        for number in sorted({slot % places // BLOCK_ROWS for slot in range(first, self.learned)}):
            rows = slice(number * BLOCK_ROWS, min((number + 1) * BLOCK_ROWS, len(self)))
            yield PopulationBlock(
                worker=worker,
                memory=self._name,
                number=number,
                layout=layout,
                rows=self._packed(rows).tobytes(),
            )

    def recall(self, blocks: Iterable[PopulationBlock]) -> None:
        """Learn what blocks hold, oldest first; what several workers tell counts once."""
        row = self._row()
        told: dict[str, Counter[bytes]] = {}
        for block in blocks:
            if block.memory == self._name:
                rows = np.frombuffer(block.rows, row)
                told.setdefault(block.worker, Counter()).update(one.tobytes() for one in rows)
        # A worker tells what it was told, too: the union counts a row as often as one of them.
        union = reduce(or_, told.values(), Counter[bytes]())
        rows = np.frombuffer(b"".join(union.elements()), row)
        rows = np.sort(rows, order="at_ms", kind="stable")
        for one in rows[-len(self._features) :]:
            self._put(one["situation"], one["curve"], one["places"], one["hour"], one["at_ms"])

    def _row(self) -> np.dtype[np.void]:
        return np.dtype(
            [
                ("situation", "<f4", self._features.shape[1:]),
                ("curve", "<f4", self._curves.shape[1:]),
                ("places", "<i8", self._places.shape[1:]),
                ("hour", "<i8"),
                ("at_ms", "<i8"),
            ]
        )

    def _packed(self, rows: slice) -> npt.NDArray[np.void]:
        packed = np.empty(rows.stop - rows.start, self._row())
        packed["situation"] = self._features[rows]
        packed["curve"] = self._curves[rows]
        packed["places"] = self._places[rows]
        packed["hour"] = self._hours[rows]
        packed["at_ms"] = self._at_ms[rows]
        return packed

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
        """The `count` rows with the smallest distance, or all where there are fewer."""
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
