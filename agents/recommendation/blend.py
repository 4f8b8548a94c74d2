"""The title model: many experts, mixed as the watches themselves show who is right.

Learning the same events in the same order, with the same solved matrices taken at the same events,
gives the same state.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from typing import Final, NamedTuple

import numpy as np

from agents.recommendation.features import START_WEIGHTS, TOLD_WEIGHTS, Experts, told_features
from agents.recommendation.mixing import Mixture
from agents.recommendation.model import Context, Part, Ranked, Told
from agents.recommendation.numbers import UNWATCHED, Candidates, Floats, Ints, Numbers
from agents.recommendation.ridge import TOGETHER_TITLES, RidgeCounts, RidgeSnapshot, RidgeWeights
from agents.recommendation.transitions import LAGS

MODEL_VERSION: Final = "blend-2"

HISTORY_TITLES_MAX: Final = TOGETHER_TITLES
"""As far back as any expert looks."""
TAUGHT_EVERY_MIN: Final = 4
TAUGHT_EVERY_MAX: Final = 160
"""Watches between steps of the mixture; it takes a ranking, so it must be rare."""
TAUGHT_COUNT: Final = 256
"""Steps a young model takes before it takes them more rarely."""
SOLVED_AFTER_MIN: Final = 2_500
SOLVED_AFTER_MAX: Final = 50_000
SOLVED_AFTER_RATIO: Final = 0.1
"""A solve is due after this share of all watches, within the bounds above."""
REPEATS_RATIO_MIN: Final = 0.001
"""Of all watches: from here on people are taken to come back to titles they have seen."""


class Ranking(NamedTuple):
    """The best candidates, and the scores of all of them."""

    best: list[Ranked]
    scores: Floats
    """(candidates,): -inf where a title may not be offered."""


class Blend:
    """A `TitleModel`."""

    version = MODEL_VERSION

    def __init__(self) -> None:
        self._numbers = Numbers()
        self._experts = Experts()
        self._mixture = Mixture((*START_WEIGHTS.values(), *TOLD_WEIGHTS.values()))
        self._ridge = RidgeCounts()
        self._learned = 0
        self._learned_at_snapshot = 0
        self._repeats = 0

    def learn(self, context: Context, content_id: str, weight: float, at_ms: int) -> None:
        """One watch of this strength in this context, or a further step of the last one."""
        history = self._history(context)
        title = self._numbers.of(content_id)
        experts = self._experts
        is_step = (
            title != UNWATCHED
            and not (len(history) and history[0] == title)
            and experts.windows.last_title(context.who) == title
        )
        if not is_step:
            if self._is_lesson(title):
                self._teach(context, history, title)
            title = self._numbers.give(content_id)
            self._repeats += bool((history == title).any())
            self._learned += 1
            experts.windows.add(context.who, history, title)
        experts.transitions.learn(history, title, weight)
        for popularity in (experts.hours, experts.day, experts.week):
            popularity.add(title, weight, at_ms)
        experts.regions.add(context.region, title, weight, at_ms)
        experts.systems.add(context.os, title, weight, at_ms)
        self._ridge.learn(_once(history) if self.is_repeating else history, title, weight)

    def forget(self, who: str) -> None:
        """Drop what joins somebody's plays."""
        self._experts.windows.forget(who)

    @property
    def is_repeating(self) -> bool:
        """Whether seen titles are offered again: where people do come back to them."""
        return self._repeats > REPEATS_RATIO_MIN * self._learned

    @property
    def is_solve_due(self) -> bool:
        """Whether enough was learned since the last snapshot."""
        wait = SOLVED_AFTER_RATIO * self._learned
        wait = min(max(wait, SOLVED_AFTER_MIN), SOLVED_AFTER_MAX)
        return self._learned - self._learned_at_snapshot >= wait

    def snapshot(self) -> RidgeSnapshot:
        """What `solve` needs."""
        self._learned_at_snapshot = self._learned
        return self._ridge.snapshot(self._experts.transitions.shares())

    def adopt(self, weights: RidgeWeights) -> None:
        """Take what `solve` found, at once."""
        self._experts.solved = weights

    def rank(
        self, context: Context, candidates: Collection[str] | Candidates, count: int
    ) -> list[Ranked]:
        """The best of all candidates."""
        return self.ranking(context, candidates, count).best

    def ranking(
        self, context: Context, candidates: Collection[str] | Candidates, count: int
    ) -> Ranking:
        """The best of all candidates, and the scores of all."""
        candidates = _as_candidates(candidates)
        history = self._history(context)
        titles = candidates.titles(self._numbers)
        features = self._experts.features(history, context.who, len(self._numbers) + 1)
        scores = self._scores(features, context, history)[titles]
        if not len(history):
            scores += self._experts.lifts(context.region, context.os, titles)
        if context.told is not None:
            told = context.told()
            assert told.pool is candidates.pool, "places are of one catalog"
            weights = self._mixture.weights(len(history))[len(START_WEIGHTS) :]
            scores += weights @ self._told(told, candidates.places, titles)
        places = best_places(scores, count)
        best = titles[places]
        reasons = self._experts.transitions.reasons(history, best).tolist()
        popular = (self._experts.week.counts(best) > 0).tolist()
        looked_at = islice(context.history, HISTORY_TITLES_MAX)
        known = list(islice(filter(self._numbers.of, looked_at), LAGS))
        ranked = [
            Ranked(
                candidates.content_id(place),
                float(scores[place]),
                known[reason] if reason >= 0 else None,
                is_popular,
            )
            for place, reason, is_popular in zip(places.tolist(), reasons, popular, strict=True)
        ]
        return Ranking(ranked, scores)

    def after(
        self, content_id: str, candidates: Collection[str] | Candidates, count: int
    ) -> list[Ranked]:
        """The candidates that were watched after this one; maybe none."""
        watched = self._numbers.of(content_id)
        if watched == UNWATCHED:
            return []
        gains = self._experts.transitions.gains(watched)
        return self._positive(gains, candidates, count, content_id)

    def explain(self, context: Context, content_id: str) -> list[Part]:
        """Every expert's word on the title now."""
        history = self._history(context)
        features = self._experts.features(history, context.who, len(self._numbers) + 1)
        scores = (features[:, self._numbers.of(content_id)] - features.mean(axis=1)).tolist()
        names = list(START_WEIGHTS)
        told = None if context.told is None else context.told()
        if told is not None and content_id in told.pool.ids:
            of_all = self._told(told, slice(None), told.pool.titles(self._numbers))
            place = told.pool.ids.index(content_id)
            scores += (of_all[:, place] - of_all.mean(axis=1)).tolist()
            names += TOLD_WEIGHTS
        weights = self._mixture.weights(len(history)).tolist()
        columns = zip(names, scores, weights, strict=False)
        return [Part(expert, score, weight) for expert, score, weight in columns]

    def popular(
        self, candidates: Collection[str] | Candidates, count: int, region: str = ""
    ) -> list[Ranked]:
        """The candidates that anybody watched lately, those of the region first."""
        titles = np.arange(len(self._numbers) + 1)
        everywhere = self._experts.week.shares(titles)
        here = self._experts.regions.shares(region, titles)
        scores = np.where(here > 0, 1.0 + here, everywhere).astype(np.float32)
        return self._positive(scores, candidates, count, None)

    def _positive(
        self,
        by_title: Floats,
        candidates: Collection[str] | Candidates,
        count: int,
        because: str | None,
    ) -> list[Ranked]:
        candidates = _as_candidates(candidates)
        scores = by_title[candidates.titles(self._numbers)]
        return [
            Ranked(candidates.content_id(place), float(scores[place]), because, is_popular=True)
            for place in best_places(scores, count).tolist()
            if scores[place] > 0
        ]

    def _history(self, context: Context) -> Ints:
        return self._numbers.of_watched(context.history, HISTORY_TITLES_MAX)

    def _scores(self, features: Floats, context: Context, history: Ints) -> Floats:
        """(titles,): the mixture's, without what may not be offered again."""
        scores: Floats = self._mixture.weights(len(history))[: len(features)] @ features
        if not self.is_repeating:
            scores[history] = -np.inf
            scores[self._numbers.of_watched(context.seen, len(context.seen))] = -np.inf
        return scores

    def _told(self, told: Told, places: Ints | slice, titles: Ints) -> Floats:
        """(features, places): of these places of the pool, whose titles have these numbers."""
        return told_features(told.features[:, places], self._experts.transitions.plays(titles))

    def _is_lesson(self, title: int) -> bool:
        every = min(max(self._learned // TAUGHT_COUNT, TAUGHT_EVERY_MIN), TAUGHT_EVERY_MAX)
        return title != UNWATCHED and self._learned % every == 0

    def _teach(self, context: Context, history: Ints, title: int) -> None:
        """Let the mixture see who was right, before anybody learns it."""
        learned = self._experts.features(history, context.who, len(self._numbers) + 1)
        features = np.vstack((learned, np.zeros((len(TOLD_WEIGHTS), learned.shape[1]), np.float32)))
        early = np.zeros(0, dtype=np.int64)
        if context.told is not None:
            told = context.told()
            titles = told.pool.titles(self._numbers)
            features[len(START_WEIGHTS) :, titles] = self._told(told, slice(None), titles)
            early = titles[told.is_early]
        scores = self._scores(features, context, history)
        scores[early] = -np.inf
        scores[UNWATCHED] = -np.inf
        self._mixture.step(features, scores, title, len(history))


def best_places(scores: Floats, count: int) -> Ints:
    """The places of the highest scores, highest first; a stable order between equal ones."""
    places = np.flatnonzero(scores > -np.inf)
    if len(places) > 4 * count:
        least = np.partition(scores[places], len(places) - count)[len(places) - count]
        places = places[scores[places] >= least]
    return places[np.argsort(-scores[places], kind="stable")[:count]]


def _as_candidates(candidates: Collection[str] | Candidates) -> Candidates:
    return candidates if isinstance(candidates, Candidates) else Candidates.of(candidates)


def _once(history: Ints) -> Ints:
    """Each title at its newest place only."""
    titles = list(dict.fromkeys(history.tolist()))
    return np.array(titles, dtype=np.int64)
