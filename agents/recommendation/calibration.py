"""A list whose genres are in the proportions of what its profile watches.

Calibrated recommendations (Steck, RecSys 2018): greedily the title that adds most to
(1 - lambda) sum of scores - lambda KL(p, q), p the genres of the history, q those of the list.
Genres decide what is in the list, and scores decide its order: what stands first is looked at most.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from agents.recommendation.numbers import Floats

LAMBDA: Final = 0.8
ALPHA: Final = 0.01
"""Of p in q, so that a genre which is missing costs much, but not everything."""
HISTORY_DECAY: Final = 0.95
"""What each earlier title counts of the one after it."""


class Choice(NamedTuple):
    """A title that may be chosen."""

    score: float
    genres: tuple[str, ...]
    genre_titles_max: int | None = None
    """It is chosen only where fewer titles than that share a genre with it."""


def genre_shares(history: Iterable[tuple[str, ...]]) -> dict[str, float]:
    """The share of each genre in what was watched, newest first; empty where nothing has one."""
    shares: defaultdict[str, float] = defaultdict(float)
    weight = 1.0
    for genres in history:
        for genre in genres:
            shares[genre] += weight / len(genres)
        weight *= HISTORY_DECAY
    total = sum(shares.values())
    return {genre: share / total for genre, share in shares.items()}


def calibrate(choices: Sequence[Choice], wanted: Mapping[str, float], count: int) -> list[int]:
    """Places of at most `count` choices, by score."""
    scores = _scaled(np.array([choice.score for choice in choices], dtype=np.float32))
    target = np.array(list(wanted.values()), dtype=np.float32)
    shares = _shares(choices, list(wanted))
    listed = np.zeros(len(wanted), dtype=np.float32)
    counts: Counter[str] = Counter()
    left = (1.0 - LAMBDA) * scores
    chosen: list[int] = []
    while len(chosen) < min(count, len(choices)):
        mix = (1.0 - ALPHA) * (listed + shares) / np.float32(len(chosen) + 1) + ALPHA * target
        divergence = (target * np.log(target / mix)).sum(axis=1)
        for place in np.argsort(LAMBDA * divergence - left, kind="stable").tolist():
            if left[place] == -np.inf or _fits(choices[place], counts):
                break
        if left[place] == -np.inf:
            break
        chosen.append(place)
        left[place] = -np.inf
        listed += shares[place]
        counts.update(choices[place].genres)
    return _by_score(choices, chosen)


def _by_score(choices: Sequence[Choice], chosen: Sequence[int]) -> list[int]:
    """The highest first, without those whose limit does not hold in this order."""
    counts: Counter[str] = Counter()
    order: list[int] = []
    for place in sorted(chosen, key=lambda place: -choices[place].score):
        if _fits(choices[place], counts):
            order.append(place)
            counts.update(choices[place].genres)
    return order


def _fits(choice: Choice, counts: Mapping[str, int]) -> bool:
    limit = choice.genre_titles_max
    return limit is None or all(counts.get(genre, 0) < limit for genre in choice.genres)


def _scaled(scores: Floats) -> Floats:
    """0 to 1, worst to best."""
    if not len(scores):
        return scores
    lowest, highest = float(scores.min()), float(scores.max())
    scaled: Floats = (scores - lowest) / np.float32(max(highest - lowest, 1e-9))
    return scaled


def _shares(choices: Sequence[Choice], names: Sequence[str]) -> Floats:
    """(choices, names): each title is shared equally among its genres."""
    column = {name: place for place, name in enumerate(names)}
    shares = np.zeros((len(choices), len(names)), dtype=np.float32)
    for place, choice in enumerate(choices):
        for genre in choice.genres:
            if genre in column:
                shares[place, column[genre]] = 1.0 / len(choice.genres)
    return shares
