"""Two closed-form linear models over the head of the catalog: what is next, and what goes together.

SLIT: x = sum_k 0.8^k e_{h_k}; G = sum x x', R[:, i] = sum x; B = (G + 100 I)^-1 R; score x'B.
EASE (Steck 2019): G[i, j] = how many watched both; P = (G + 300 I)^-1; B_ij = -P_ij / P_jj with
diagonal 0; score = sum over the history of B[h, :].

Learning adds to the counts at once; B comes from `solve`, a pure function of a snapshot that takes
seconds. The caller runs it where it likes, and the result is taken in one assignment.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from agents.recommendation.numbers import Floats, Ints

HEAD_TITLES_MAX: Final = 4_096
"""Titles that take part: 67 MB a matrix, and a solve of some ten seconds."""
NEXT_LAGS: Final = 16
NEXT_DECAY: Final = 0.8
NEXT_PENALTY: Final = 100.0
TOGETHER_TITLES: Final = 200
"""Of a history, for EASE."""
TOGETHER_PENALTY: Final = 300.0
RENEWED_RATIO: Final = 2.0
"""So much more a title must be watched to take the place of one of the head."""
RENEWED_MAX: Final = 256
"""Places that change hands at one snapshot."""

_NEXT: Final = (NEXT_DECAY ** np.arange(NEXT_LAGS)).astype(np.float32)


class RidgeSnapshot(NamedTuple):
    """Copies of the counts; (places, places) each, and the title's number by place."""

    inputs: Floats
    targets: Floats
    together: Floats
    titles: Ints


class RidgeWeights(NamedTuple):
    """What `solve` found, over the places of its snapshot."""

    next: Floats
    together: Floats
    titles: Ints
    places: Ints
    """By title number: its place, or -1."""

    def score(self, history: Ints, size: int) -> tuple[Floats, Floats]:
        """(size,) each, by title: the scores of SLIT and of EASE; 0 outside the head."""
        history = history[:TOGETHER_TITLES]
        places = np.where(history < len(self.places), self.places[history % len(self.places)], -1)
        is_held = places >= 0
        places = places[is_held]
        recent = np.flatnonzero(is_held[:NEXT_LAGS])
        following = np.zeros(size, dtype=np.float32)
        together = np.zeros(size, dtype=np.float32)
        following[self.titles] = _NEXT[recent] @ self.next[places[: len(recent)]]
        together[self.titles] = self.together[places].sum(axis=0)
        return following, together


def solve(snapshot: RidgeSnapshot) -> RidgeWeights:
    """The matrices B of both models. Pure; a solve of n titles costs some 6 n^3 operations."""
    count = len(snapshot.titles)
    eye = np.eye(count, dtype=np.float32)
    following = np.linalg.solve(snapshot.inputs + NEXT_PENALTY * eye, snapshot.targets)
    inverse = np.linalg.inv(
        snapshot.together + snapshot.together.T + np.float32(TOGETHER_PENALTY) * eye
    )
    together = -inverse / np.diag(inverse)
    np.fill_diagonal(together, 0.0)
    places = np.full(int(snapshot.titles.max(initial=0)) + 1, -1, dtype=np.int64)
    places[snapshot.titles] = np.arange(count)
    return RidgeWeights(
        np.ascontiguousarray(following, dtype=np.float32),
        np.ascontiguousarray(together, dtype=np.float32),
        snapshot.titles,
        places,
    )


class RidgeCounts:
    """The counts of both models, for at most `places_max` titles."""

    def __init__(self, places_max: int = HEAD_TITLES_MAX) -> None:
        self._places_max = places_max
        self._inputs = np.zeros((64, 64), dtype=np.float32)
        self._targets = np.zeros((64, 64), dtype=np.float32)
        self._together = np.zeros((64, 64), dtype=np.float32)
        """[i, j]: how often j was in the history of i; half the count on the diagonal."""
        self._places = np.full(64, -1, dtype=np.int64)
        self._titles = np.zeros(64, dtype=np.int64)
        self._count = 0

    def learn(self, history: Ints, title: int, weight: float) -> None:
        """One watch of this strength after this history, newest first, every title once."""
        target = self._place(title)
        if target < 0:
            return
        places = self._places[history[:TOGETHER_TITLES]]
        strength = np.float32(weight)
        self._together[target, places[places >= 0]] += strength
        self._together[target, target] += strength / 2
        recent = places[:NEXT_LAGS]
        lags = np.flatnonzero(recent >= 0)
        recent, values = recent[lags], _NEXT[lags]
        weighted = strength * values
        self._targets[recent, target] += weighted
        self._inputs[recent[:, None], recent] += weighted[:, None] * values

    def snapshot(self, shares: Floats) -> RidgeSnapshot:
        """The counts now; before, titles that are watched more take the places of the least."""
        self._renew(shares)
        count = self._count
        return RidgeSnapshot(
            self._inputs[:count, :count].copy(),
            self._targets[:count, :count].copy(),
            self._together[:count, :count].copy(),
            self._titles[:count].copy(),
        )

    def _place(self, title: int) -> int:
        """The title's place; a free one where there is any, else -1."""
        if title >= len(self._places):
            more = max(len(self._places), title + 1 - len(self._places))
            self._places = np.pad(self._places, (0, more), constant_values=-1)
        if self._places[title] < 0 and self._count < self._places_max:
            if self._count == len(self._titles):
                self._grow(min(2 * self._count, self._places_max) - self._count)
            self._places[title] = self._count
            self._titles[self._count] = title
            self._count += 1
        return int(self._places[title])

    def _grow(self, more: int) -> None:
        self._titles = np.pad(self._titles, (0, more))
        self._inputs = np.pad(self._inputs, (0, more))
        self._targets = np.pad(self._targets, (0, more))
        self._together = np.pad(self._together, (0, more))

    def _renew(self, shares: Floats) -> None:
        """Give the places of the least watched to what is watched far more and has none."""
        if self._count < self._places_max:
            return
        held = self._titles[: self._count]
        known = self._places[: len(shares)]
        others = np.flatnonzero(known < 0)
        others = others[others > 0]
        size = min(RENEWED_MAX, len(others), len(held))
        best = others[np.argsort(-shares[others], kind="stable")[:size]]
        least = np.argsort(shares[held], kind="stable")[:size]
        is_better = shares[best] > RENEWED_RATIO * shares[held[least]]
        best, places = best[is_better], least[is_better]
        self._places[held[places]] = -1
        self._places[best] = places
        self._titles[places] = best
        for counts in (self._inputs, self._targets, self._together):
            counts[places, :] = 0.0
            counts[:, places] = 0.0
