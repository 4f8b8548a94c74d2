"""What follows what: a product of experts over the last titles watched, learned event by event.

For history h_0 (newest), h_1, … and C[h, i] = how often i was watched k places after h, weighted
0.7^k: S(i) = sum_k 0.6^k ln((C[h_k, i] + a p_i) / ((r[h_k] + a) p_i)) + alpha ln p_i, with p the
share of i, r the row sums, K = 12 experts, a = 100, alpha = 1.5. Where C is 0 an expert tells all
titles the same, so only what was ever seen after h is summed: cheap, and no batch.
Below five watched titles the popularity of the last days is the better guide: ln p is mixed with
its logarithm.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from agents.recommendation.popularity import Popularity

MODEL_VERSION: Final = "poe-1"

EXPERTS: Final = 12
LEARN_DECAY: Final = 0.7
RANK_DECAY: Final = 0.6
PRIOR: Final = 100.0
ALPHA: Final = 1.5
FULL_TRUST_TITLES: Final = 5
"""From so many watched titles on the last days no longer count."""
ROW_TITLES_MAX: Final = 500
"""Successors kept per title once there are twice as many; the weakest go."""

Titles = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]

_NEVER_WATCHED: Final = 0
"""The number of every title that nobody watched: counted once, followed by nothing."""


class Ranked(NamedTuple):
    """A candidate and its score."""

    content_id: str
    score: float
    because: str | None = None
    """The watched title that spoke for it most, if any did."""
    is_popular: bool = False
    """Whether anybody watched it lately."""


class TitleModel(Protocol):
    """What the agent needs of a model.

    `history` is newest first, without the title itself; answers are best first, at most `count`,
    and equal scores keep the candidates' order.
    """

    version: str

    def learn(self, history: Sequence[str], content_id: str, weight: float, at_ms: int) -> None:
        """One watch of this strength, by someone with this history."""

    def rank(self, history: Sequence[str], candidates: Collection[str], count: int) -> list[Ranked]:
        """The best of all candidates."""

    def after(self, content_id: str, candidates: Collection[str], count: int) -> list[Ranked]:
        """The candidates that were watched after this one; maybe none."""

    def popular(self, candidates: Collection[str], count: int) -> list[Ranked]:
        """The candidates that anybody watched lately."""


class ProductOfExperts:
    """The model as above. Learning the same events in the same order gives the same state."""

    version = MODEL_VERSION

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._follows: dict[int, dict[int, float]] = {}
        self._counts = np.ones(64)
        self._total = 1.0
        self._popularity = Popularity()

    def learn(self, history: Sequence[str], content_id: str, weight: float, at_ms: int) -> None:
        """One watch of this strength, by someone with this history."""
        title = self._number(content_id)
        share = weight
        for watched in history[:EXPERTS]:
            row = self._follows.setdefault(self._number(watched), {})
            row[title] = row.get(title, 0.0) + share
            if len(row) > 2 * ROW_TITLES_MAX:
                self._prune(self._number(watched))
            share *= LEARN_DECAY
        self._counts[title] += weight
        self._total += weight
        self._popularity.add(title, weight, at_ms)

    def rank(self, history: Sequence[str], candidates: Collection[str], count: int) -> list[Ranked]:
        """The best of all candidates."""
        ids, titles = self._numbered(candidates)
        trust = min(1.0, len(history) / FULL_TRUST_TITLES)
        gains, strongest = self._gains(history[:EXPERTS])
        ever = np.log(self._counts[titles] / self._total)
        lately = self._popularity.log_shares(titles)
        scores = gains[titles] + ALPHA * (trust * ever + (1 - trust) * lately)
        popular = self._popularity.counts(titles) > 0
        return [
            Ranked(ids[i], float(scores[i]), _at(history, strongest[titles[i]]), bool(popular[i]))
            for i in _best(scores, count)
        ]

    def after(self, content_id: str, candidates: Collection[str], count: int) -> list[Ranked]:
        """The candidates that were watched after this one; maybe none."""
        if self._numbers.get(content_id, _NEVER_WATCHED) not in self._follows:
            return []
        ids, titles = self._numbered(candidates)
        scores = self._gains((content_id,))[0][titles]
        best = (i for i in _best(scores, count) if scores[i] > 0)
        return [Ranked(ids[i], float(scores[i]), content_id, is_popular=True) for i in best]

    def popular(self, candidates: Collection[str], count: int) -> list[Ranked]:
        """The candidates that anybody watched lately."""
        ids, titles = self._numbered(candidates)
        scores = self._popularity.counts(titles)
        best = (i for i in _best(scores, count) if scores[i] > 0)
        return [Ranked(ids[i], float(scores[i]), is_popular=True) for i in best]

    def _gains(self, history: Sequence[str]) -> tuple[Scores, Titles]:
        """By title: what the experts add over its share, and the place of the strongest, or -1."""
        gains = np.zeros(len(self._counts))
        largest = np.zeros(len(self._counts))
        strongest = np.full(len(self._counts), -1)
        weight = 1.0
        for place, watched in enumerate(history):
            row = self._follows.get(self._numbers.get(watched, _NEVER_WATCHED))
            if row:
                titles = np.fromiter(row.keys(), np.int64, len(row))
                seen = np.fromiter(row.values(), np.float64, len(row))
                gain = weight * np.log1p(seen * self._total / (PRIOR * self._counts[titles]))
                gains[titles] += gain
                is_larger = gain > largest[titles]
                largest[titles[is_larger]] = gain[is_larger]
                strongest[titles[is_larger]] = place
            weight *= RANK_DECAY
        return gains, strongest

    def _numbered(self, candidates: Collection[str]) -> tuple[list[str], Titles]:
        ids = list(candidates)
        numbers = (self._numbers.get(content_id, _NEVER_WATCHED) for content_id in ids)
        return ids, np.fromiter(numbers, np.int64, len(ids))

    def _number(self, content_id: str) -> int:
        """The title's number; a new one counts as watched once."""
        number = self._numbers.get(content_id)
        if number is None:
            number = self._numbers[content_id] = len(self._numbers) + 1
            self._total += 1.0
            if number >= len(self._counts):
                grown = np.ones(2 * len(self._counts))
                grown[: len(self._counts)] = self._counts
                self._counts = grown
        return number

    def _prune(self, watched: int) -> None:
        row = self._follows[watched]
        kept = sorted(row.items(), key=lambda entry: -entry[1])[:ROW_TITLES_MAX]
        self._follows[watched] = dict(kept)


def _best(scores: Scores, count: int) -> list[int]:
    """The places of the highest scores, highest first; a stable order between equal ones."""
    best: list[int] = np.argsort(-scores, kind="stable")[:count].tolist()
    return best


def _at(history: Sequence[str], place: np.int64) -> str | None:
    return history[int(place)] if place >= 0 else None
