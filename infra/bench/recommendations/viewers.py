"""The product's title model, fed and asked as the recommendation agent does for its profiles."""

from __future__ import annotations

from collections import deque

import numpy as np

from agents.recommendation.blend import HISTORY_TITLES_MAX, Blend, Ranking
from agents.recommendation.model import Context
from agents.recommendation.numbers import Candidates, Pool
from agents.recommendation.ridge import solve

_SHOWN = 20


class _Viewer:
    """What one viewer watched: the newest first, and all."""

    def __init__(self) -> None:
        self.history: deque[str] = deque(maxlen=HISTORY_TITLES_MAX)
        self.seen: dict[str, None] = {}

    def watch(self, content_id: str) -> None:
        """Remember one more."""
        self.history.appendleft(content_id)
        self.seen[content_id] = None


class Viewers:
    """The policy under measurement: recommend(viewer), then learn(event)."""

    def __init__(self, title_ids: list[str]) -> None:
        self.model = Blend()
        self._pool = Pool(title_ids)
        self._candidates = Candidates(self._pool, np.arange(len(title_ids)))
        self._viewers: dict[str, _Viewer] = {}

    def offer(self, content_id: str) -> None:
        """One more title to rank."""
        self._pool.append(content_id)
        self._candidates = Candidates(self._pool, np.arange(len(self._pool.ids)))

    def recommend(self, viewer: str) -> Ranking:
        """The list for a viewer now, over all titles."""
        return self.model.ranking(self._context(viewer), self._candidates, _SHOWN)

    def learn(self, viewer: str, content_id: str, at_s: int) -> None:
        """One event: the model learns it, and it joins the viewer's history."""
        self.model.learn(self._context(viewer), content_id, 1.0, at_s * 1_000)
        self.watch(viewer, content_id)

    def watch(self, viewer: str, content_id: str) -> None:
        """Join the history only."""
        self._viewers.setdefault(viewer, _Viewer()).watch(content_id)

    def solve_if_due(self) -> None:
        """What the product does in the background, here between two events."""
        if self.model.is_solve_due:
            self.model.adopt(solve(self.model.snapshot()))

    def _context(self, viewer: str) -> Context:
        known = self._viewers.get(viewer)
        if known is None:
            return Context((), viewer)
        return Context(known.history, viewer, known.seen)
