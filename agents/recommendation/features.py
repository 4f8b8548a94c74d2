"""What each model says of each title, as the log scores that the mixture weighs."""

from __future__ import annotations

from typing import Final

import numpy as np

from agents.recommendation.neighbors import Neighbors
from agents.recommendation.numbers import Floats, Ints
from agents.recommendation.popularity import DAY_MS, HOURS_MS, WEEK_MS, Groups, Popularity
from agents.recommendation.ridge import RidgeWeights
from agents.recommendation.transitions import Transitions
from agents.recommendation.windows import Windows

START_WEIGHTS: Final = {
    "last": 0.5,
    "before_last": 0.5,
    "earlier": 0.5,
    "share": 0.5,
    "hours": 0.0,
    "day": 0.1,
    "week": 0.1,
    "next": 0.3,
    "together": 0.7,
    "strict": 0.1,
    "ahead": 0.3,
    "behind": 0.1,
    "markov": 0.2,
    "session": 0.2,
    "either": 0.3,
    "again": 0.0,
    "before": 0.0,
}
"""A blend by hand: what the mixture starts from; the names in the order of the features.

last, before_last, earlier: the lagged experts of the last title, the two before, nine more.
share, hours, day, week: popularity of all times, of hours, a day, a week. next, together: SLIT,
EASE.
strict, ahead, behind, session: the neighbors' votes. markov: the plain chain.
either: sessions and the chain added, each by its maximum, as one of them often knows alone.
again, before: whether it is the title watched last, or one watched before that.
"""
TOLD_WEIGHTS: Final = {
    "alike": 0.5,
    "alike_unknown": 1.0,
    "new": 0.5,
    "new_unknown": 0.5,
    "next_episode": 1.5,
    "next_at_once": 1.0,
}
"""The same of what the catalog tells. alike, new: for all titles; unknown: the less the fewer
plays of a title are known. next_episode: of a series it follows; at once: of the one just watched.
"""
KNOWN_PLAYS: Final = 10.0
"""With so many, half as much is left to what is written."""
NEXT_FLOOR: Final = 0.002
TOGETHER_FLOOR: Final = 0.03
VOTE_FLOOR: Final = 1e-4
MARKOV_FLOOR: Final = 1e-3
SESSION_FLOOR: Final = 3e-3
"""Floors stand for what a model of finite data cannot tell from nothing; as the prototype had."""
SEEN_BEFORE: Final = 20
"""As far back as `before` looks."""

_NAMES: Final = tuple(START_WEIGHTS)
SHARE: Final = _NAMES.index("share")
NEXT: Final = _NAMES.index("next")
VOTES: Final = _NAMES.index("strict")
CHAIN: Final = _NAMES.index("markov")
AGAIN: Final = _NAMES.index("again")
_FLOORS: Final = np.array(
    [
        [NEXT_FLOOR],
        [TOGETHER_FLOOR],
        [VOTE_FLOOR],
        [VOTE_FLOOR],
        [VOTE_FLOOR],
        [MARKOV_FLOOR],
        [SESSION_FLOOR],
        [SESSION_FLOOR],
    ],
    dtype=np.float32,
)


def told_features(told: Floats, plays: Floats) -> Floats:
    """(features, titles): in the order of TOLD_WEIGHTS; `told` as `Told` has it, plays by title."""
    unknown = np.float32(KNOWN_PLAYS) / (np.float32(KNOWN_PLAYS) + plays)
    alike, new, following, at_once = told
    found: Floats = np.stack((alike, alike * unknown, new, new * unknown, following, at_once))
    return found


class Experts:
    """All models that learn event by event, and the solved ones last taken."""

    def __init__(self) -> None:
        self.transitions = Transitions()
        self.windows = Windows()
        self.hours = Popularity(HOURS_MS)
        self.day = Popularity(DAY_MS)
        self.week = Popularity(WEEK_MS)
        self.regions = Groups(DAY_MS)
        self.systems = Groups(WEEK_MS)
        self.solved: RidgeWeights | None = None
        self._neighbors = Neighbors(self.windows)

    def lifts(self, region: str, os: str, titles: Ints) -> Floats:
        """(titles,): what region and device say of each beside everybody, as log scores.

        Each is taken to lift a title by itself, whatever the other is.
        """
        here = self.regions.lift(region, self.day, titles)
        return here + self.systems.lift(os, self.week, titles)

    def features(self, history: Ints, who: str, size: int) -> Floats:
        """(features, size): log scores by title, in the order of START_WEIGHTS."""
        found = np.zeros((len(START_WEIGHTS), size), dtype=np.float32)
        shares = self.transitions.shares()
        found[SHARE] = np.log(shares)
        for place, popularity in enumerate((self.hours, self.day, self.week)):
            found[SHARE + 1 + place] = popularity.log_shares(size)
        if not len(history):
            return found
        following = self.transitions.read(history)
        votes = self._neighbors.vote(history, who, shares)
        chain = following.markov / max(float(following.markov.max()), 1e-9)
        found[:SHARE] = following.gains
        if self.solved is not None:
            found[NEXT], found[NEXT + 1] = self.solved.score(history, size)
        found[VOTES : VOTES + 3] = votes.strict, votes.ahead, votes.behind
        found[CHAIN] = following.markov
        found[CHAIN + 1] = votes.session
        found[CHAIN + 2] = votes.session + chain
        logs = found[NEXT:AGAIN]
        np.log(np.maximum(logs, 0) + _FLOORS, out=logs)
        found[AGAIN + 1, history[1:SEEN_BEFORE]] = 1.0
        found[AGAIN, history[0]] = 1.0
        found[AGAIN + 1, history[0]] = 0.0
        return found
