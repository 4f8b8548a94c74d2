"""What was watched how soon after what: counts by lag, decayed, and what they say of a history.

For history h_0 (newest), h_1, … each watch of i adds 0.7^k to C[h_k, i], k < 12. An expert per lag
says ln((C[h_k, i] + a p_i) / ((r[h_k] + a) p_i)), with p the share of i and r the row sums; what is
the same for all titles is left out, so that an expert is silent where it saw nothing. Counts halve
every 30 plays per title: lists and tastes change, and a model of all times answers for old ones.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

import numpy as np

from agents.recommendation.numbers import Floats, Ints

LAGS: Final = 12
LEARN_DECAY: Final = 0.7
RANK_DECAY: Final = 0.6
MARKOV_DECAY: Final = 0.4
MARKOV_PRIOR: Final = 5.0
PRIOR: Final = 100.0
"""a: how many watches a row needs before it is believed."""
HALF_LIFE_PLAYS: Final = 30.0
"""Per title of the catalog."""
DENSE_TITLES_MAX: Final = 4_096
"""Up to here a square of counts (67 MB); with more titles the strongest of each row."""
ROW_TITLES_MAX: Final = 500
"""Kept per row, once there are twice as many."""
_SCALE_MAX: Final = 2.0**40
"""What a count of now weighs before all are scaled down, far from the end of float32."""

_LEARN: Final = (LEARN_DECAY ** np.arange(LAGS)).astype(np.float32)
_RANK: Final = (RANK_DECAY ** np.arange(LAGS)).astype(np.float32)
_MARKOV: Final = (MARKOV_DECAY ** np.arange(LAGS)).astype(np.float32)
GROUPS: Final = ((0, 1), (1, 3), (3, LAGS))
"""Lags that share a weight of the mixture: the last title, the two before, the rest."""


class Following(NamedTuple):
    """What the counts say of a history, by title."""

    gains: Floats
    """(len(GROUPS), titles): sums of the experts' logarithms, weighted 0.6^k."""
    markov: Floats
    """(titles,): sum_k 0.4^k C[h_k, i] / (c[h_k] + 5)."""


class Rows(Protocol):
    """Counts by row and title."""

    def add(self, rows: Ints, title: int, values: Floats) -> None:
        """Add to C[rows, title]; a row may stand there twice."""

    def scale(self, factor: float) -> None:
        """Multiply all."""

    def read(self, rows: Ints, odds: Floats, shares: Floats) -> Following:
        """What these rows say; `odds` are T / (a c_i), `shares` the Markov weight of each row."""

    def gains(self, row: int, odds: Floats) -> Floats:
        """(titles,): what one row adds."""

    def at(self, rows: Ints, titles: Ints) -> Floats:
        """(rows, titles): the counts there."""


class DenseRows:
    """A square of float32."""

    def __init__(self, size: int = 64) -> None:
        self.counts = np.zeros((size, size), dtype=np.float32)

    def add(self, rows: Ints, title: int, values: Floats) -> None:
        """Add to C[rows, title]; a row may stand there twice."""
        top = max(title, int(rows.max(initial=0)))
        if top >= len(self.counts):
            size = min(2 * len(self.counts), DENSE_TITLES_MAX + 1)
            grown = np.zeros((size, size), dtype=np.float32)
            grown[: len(self.counts), : len(self.counts)] = self.counts
            self.counts = grown
        np.add.at(self.counts[:, title], rows, values)

    def scale(self, factor: float) -> None:
        """Multiply all."""
        self.counts *= np.float32(factor)

    def read(self, rows: Ints, odds: Floats, shares: Floats) -> Following:
        """What these rows say."""
        counts = self.counts[rows, : len(odds)]  # (lags, titles)
        logs = np.log1p(counts * odds)
        gains = np.zeros((len(GROUPS), len(odds)), dtype=np.float32)
        for group, (first, end) in enumerate(GROUPS):
            gains[group] = _RANK[first : min(end, len(rows))] @ logs[first:end]
        return Following(gains, shares @ counts)

    def gains(self, row: int, odds: Floats) -> Floats:
        """(titles,): what one row adds."""
        gains: Floats = np.log1p(self.counts[row, : len(odds)] * odds)
        return gains

    def at(self, rows: Ints, titles: Ints) -> Floats:
        """(rows, titles): the counts there."""
        return self.counts[rows[:, None], titles]


class SparseRows:
    """The strongest counts of each row."""

    def __init__(self, dense: DenseRows | None = None) -> None:
        self._rows: dict[int, dict[int, float]] = {}
        if dense is not None:
            for row, counts in enumerate(dense.counts):
                titles = np.flatnonzero(counts)
                if len(titles):
                    self._rows[row] = dict(
                        zip(titles.tolist(), counts[titles].tolist(), strict=True)
                    )
                    self._prune(row)

    def add(self, rows: Ints, title: int, values: Floats) -> None:
        """Add to C[rows, title]; a row may stand there twice."""
        for row, value in zip(rows.tolist(), values.tolist(), strict=True):
            counts = self._rows.setdefault(row, {})
            counts[title] = counts.get(title, 0.0) + value
            if len(counts) > 2 * ROW_TITLES_MAX:
                self._prune(row)

    def scale(self, factor: float) -> None:
        """Multiply all."""
        for counts in self._rows.values():
            for title in counts:
                counts[title] *= factor

    def read(self, rows: Ints, odds: Floats, shares: Floats) -> Following:
        """What these rows say."""
        gains = np.zeros((len(GROUPS), len(odds)), dtype=np.float32)
        markov = np.zeros(len(odds), dtype=np.float32)
        for group, (first, end) in enumerate(GROUPS):
            for lag in range(first, min(end, len(rows))):
                titles, counts = self._row(int(rows[lag]))
                gains[group][titles] += _RANK[lag] * np.log1p(counts * odds[titles])
                markov[titles] += shares[lag] * counts
        return Following(gains, markov)

    def gains(self, row: int, odds: Floats) -> Floats:
        """(titles,): what one row adds."""
        gains = np.zeros(len(odds), dtype=np.float32)
        titles, counts = self._row(row)
        gains[titles] = np.log1p(counts * odds[titles])
        return gains

    def at(self, rows: Ints, titles: Ints) -> Floats:
        """(rows, titles): the counts there."""
        wanted = titles.tolist()
        found = [self._rows.get(row, {}) for row in rows.tolist()]
        counts = [[row.get(title, 0.0) for title in wanted] for row in found]
        return np.array(counts, dtype=np.float32).reshape(len(rows), len(titles))

    def _row(self, row: int) -> tuple[Ints, Floats]:
        counts = self._rows.get(row, {})
        return (
            np.fromiter(counts.keys(), np.int64, len(counts)),
            np.fromiter(counts.values(), np.float32, len(counts)),
        )

    def _prune(self, row: int) -> None:
        counts = self._rows[row]
        if len(counts) > ROW_TITLES_MAX:
            kept = sorted(counts.items(), key=lambda entry: -entry[1])[:ROW_TITLES_MAX]
            self._rows[row] = dict(kept)


class Transitions:
    """The counts C and c, dense or sparse by the size of the catalog."""

    def __init__(self, dense_titles_max: int = DENSE_TITLES_MAX) -> None:
        self._dense_titles_max = dense_titles_max
        self._rows: Rows = DenseRows()
        self._counts = np.zeros(64, dtype=np.float32)
        self._scale = 1.0
        """What one watch of now adds."""
        self._titles = 0

    def learn(self, history: Ints, title: int, weight: float) -> None:
        """One watch of this strength after this history, newest first."""
        self._reach(title)
        history = history[:LAGS]
        strength = weight * self._scale
        self._rows.add(history, title, _LEARN[: len(history)] * np.float32(strength))
        self._counts[title] += strength
        self._scale *= 2.0 ** (1.0 / (HALF_LIFE_PLAYS * self._titles))
        if self._scale > _SCALE_MAX:
            self._rows.scale(1.0 / self._scale)
            self._counts /= np.float32(self._scale)
            self._scale = 1.0

    def read(self, history: Ints) -> Following:
        """What followed this history, by title."""
        rows = history[:LAGS]
        before = self._counts[rows] + np.float32(MARKOV_PRIOR * self._scale)
        return self._rows.read(rows, self._odds(), _MARKOV[: len(rows)] / before)

    def gains(self, title: int) -> Floats:
        """(titles,): how much more often than by chance each followed this one, as a logarithm."""
        return self._rows.gains(title, self._odds())

    def reasons(self, history: Ints, titles: Ints) -> Ints:
        """By title: the place in the history of what speaks most for it, or -1."""
        rows = history[:LAGS]
        if not len(rows):
            return np.full(len(titles), -1)
        counts = self._rows.at(rows, titles) * self._odds()[titles]
        gains = np.log1p(counts) * _RANK[: len(rows), None]
        return np.where(gains.max(axis=0) > 0, gains.argmax(axis=0), -1)

    def shares(self) -> Floats:
        """(titles,): p; every title counts as watched once more than it was."""
        counts = self._counts[: self._titles + 1] + np.float32(self._scale)
        shares: Floats = counts / counts.sum()
        return shares

    def plays(self, titles: Ints) -> Floats:
        """(titles,): how often each was watched, halving as all counts do."""
        plays: Floats = self._counts[titles] / np.float32(self._scale)
        return plays

    def _odds(self) -> Floats:
        """(titles,): T / (a c_i), in units of the scaled counts."""
        return np.float32(1.0 / (PRIOR * self._scale)) / self.shares()

    def _reach(self, title: int) -> None:
        """Make room for the title."""
        self._titles = max(self._titles, title)
        if title >= len(self._counts):
            self._counts = np.pad(self._counts, (0, len(self._counts)))
        if isinstance(self._rows, DenseRows) and title > self._dense_titles_max:
            self._rows = SparseRows(self._rows)
