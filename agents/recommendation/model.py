"""What follows what: a product of experts over the last titles watched, learned event by event.

For history h_0 (newest), h_1, … and C[h, i] = how often i was watched k places after h, weighted
0.7^k: S(i) = sum_k 0.6^k ln((C[h_k, i] + a p_i) / ((r[h_k] + a) p_i)) + alpha ln p_i, with p the
share of i, r the row sums, K = 12 experts, a = 100, alpha = 1.5. Where C is 0 an expert tells all
titles the same, so only what was ever seen after h is summed: cheap, and no batch.
Below five watched titles the popularity of the last days is the better guide: ln p is mixed with
its logarithm.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from agents.recommendation.popularity import Popularity

MODEL_VERSION: Final = "poe-1"

EXPERTS: Final = 12
LEARN_DECAY: Final = 0.7
RANK_DECAY: Final = 0.6
PRIOR: Final = 100.0
ALPHA: Final = 1.5
FULL_TRUST_TITLES: Final = 5
"""From so many watched titles on the last days no longer count."""
ROW_TITLES_MAX: Final = 1_000
"""Successors kept per title; the weakest go first."""


class Ranked(NamedTuple):
    """A candidate and its score; `because` is the watched title that spoke for it most, if any."""

    content_id: str
    score: float
    because: str | None


class TitleModel(Protocol):
    """What the agent needs of a model. `history` is newest first, without the title itself."""

    version: str

    def learn(self, history: Sequence[str], content_id: str, weight: float, at_ms: int) -> None:
        """One watch of this strength, by someone with this history."""

    def rank(self, history: Sequence[str], candidates: Collection[str]) -> list[Ranked]:
        """Every candidate, best first; equal scores keep the candidates' order."""

    def after(self, content_id: str, candidates: Collection[str]) -> list[Ranked]:
        """The candidates that were watched after this one, best first; maybe none."""

    def popular(self, candidates: Collection[str]) -> list[Ranked]:
        """The candidates that anybody watched lately, most popular first."""


class ProductOfExperts:
    """The model as above. Learning the same events in the same order gives the same state."""

    version = MODEL_VERSION

    def __init__(self) -> None:
        self._follows: dict[str, dict[str, float]] = defaultdict(dict)
        self._row_sums: dict[str, float] = defaultdict(float)
        self._counts: dict[str, float] = defaultdict(lambda: 1.0)
        self._total = 0.0
        self._popularity = Popularity()

    def learn(self, history: Sequence[str], content_id: str, weight: float, at_ms: int) -> None:
        """One watch of this strength, by someone with this history."""
        share = weight
        for watched in history[:EXPERTS]:
            row = self._follows[watched]
            row[content_id] = row.get(content_id, 0.0) + share
            self._row_sums[watched] += share
            if len(row) > 2 * ROW_TITLES_MAX:
                self._prune(watched)
            share *= LEARN_DECAY
        if content_id not in self._counts:
            self._total += 1.0
        self._counts[content_id] += weight
        self._total += weight
        self._popularity.add(content_id, weight, at_ms)

    def rank(self, history: Sequence[str], candidates: Collection[str]) -> list[Ranked]:
        """Every candidate, best first; equal scores keep the candidates' order."""
        trust = min(1.0, len(history) / FULL_TRUST_TITLES)
        evidence, because = self._evidence(history[:EXPERTS], candidates)
        total = self._popularity.total()
        ranked: list[Ranked] = []
        for content_id in candidates:
            ever = math.log(self._share(content_id))
            lately = self._popularity.log_share(content_id, total)
            score = evidence.get(content_id, 0.0) + ALPHA * (trust * ever + (1 - trust) * lately)
            strongest = because.get(content_id)
            ranked.append(Ranked(content_id, score, strongest[1] if strongest else None))
        ranked.sort(key=lambda item: -item.score)
        return ranked

    def after(self, content_id: str, candidates: Collection[str]) -> list[Ranked]:
        """The candidates that were watched after this one, best first; maybe none."""
        evidence, _ = self._evidence((content_id,), candidates)
        ranked = [Ranked(other, score, content_id) for other, score in evidence.items()]
        ranked.sort(key=lambda item: (-item.score, item.content_id))
        return ranked

    def popular(self, candidates: Collection[str]) -> list[Ranked]:
        """The candidates that anybody watched lately, most popular first."""
        ranked = [
            Ranked(content_id, count, None)
            for content_id in candidates
            if (count := self._popularity.get(content_id)) > 0
        ]
        ranked.sort(key=lambda item: (-item.score, item.content_id))
        return ranked

    def _evidence(
        self, history: Sequence[str], candidates: Collection[str]
    ) -> tuple[Mapping[str, float], Mapping[str, tuple[float, str]]]:
        """Per candidate what the experts add over its share, and which one adds most."""
        wanted = candidates if isinstance(candidates, set | dict) else set(candidates)
        sums: dict[str, float] = defaultdict(float)
        strongest: dict[str, tuple[float, str]] = {}
        weight = 1.0
        for watched in history:
            for content_id, count in self._follows.get(watched, {}).items():
                if content_id not in wanted:
                    continue
                gain = weight * math.log1p(count / (PRIOR * self._share(content_id)))
                sums[content_id] += gain
                if gain > strongest.get(content_id, (0.0, ""))[0]:
                    strongest[content_id] = (gain, watched)
            weight *= RANK_DECAY
        return sums, strongest

    def _share(self, content_id: str) -> float:
        """Its part of all watches; a title that nobody watched counts as watched once."""
        return self._counts.get(content_id, 1.0) / max(self._total, 1.0)

    def _prune(self, watched: str) -> None:
        row = self._follows[watched]
        kept = sorted(row.items(), key=lambda entry: -entry[1])[:ROW_TITLES_MAX]
        self._follows[watched] = dict(kept)
