"""Which models to trust, learned from what was watched: a linear mixture by length of history.

S(i) = (w + v_b) . f(i), f the models' log scores and b the bucket of the history's length. After a
watch the mixture takes one Newton step on the likelihood of the title among the best candidates
(softmax), with an H that sums the curvature of all steps and slowly forgets: no learning rate, and
a few hundred watches are enough. The starting weights are those of a hand-made blend, believed like
`TRUST` watches; a bucket's own part v_b starts at 0 and must earn its difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from agents.recommendation.numbers import Floats, Ints

BUCKETS: Final = (1, 5, 20, 100)
"""Lengths of history at which another bucket begins."""
TRUST: Final = 20.0
"""Curvature given to the starting weights."""
BUCKET_TRUST: Final = 100.0
"""Curvature given to a bucket having no weights of its own."""
KEPT: Final = 0.9995
"""Of H at each step: the last few thousand count."""
BEST_MAX: Final = 200
"""Candidates compared in a step; a title that is not among them teaches nothing."""

Matrix = npt.NDArray[np.float64]


class Mixture:
    """The weights. The same steps in the same order give the same."""

    def __init__(self, start: Sequence[float]) -> None:
        self._size = len(start)
        self._weights: Matrix = np.zeros(self._size * (2 + len(BUCKETS)))
        self._weights[: self._size] = start
        self._floor: Matrix = np.full(len(self._weights), BUCKET_TRUST)
        self._floor[: self._size] = TRUST
        self._curvature: Matrix = np.diag(self._floor)
        self.steps = 0

    def weights(self, length: int) -> Floats:
        """(features,): the weights for a history of this length."""
        own = self._own(length)
        return (self._weights[: self._size] + self._weights[own]).astype(np.float32)

    def step(self, features: Floats, scores: Floats, target: int, length: int) -> None:
        """Learn that `target` was watched.

        `features` are (features, candidates), `scores` (candidates,) from them, `target` a place.
        """
        best = _best(scores)
        places = np.flatnonzero(best == target)
        if not len(places):
            return
        of_best = features[:, best].astype(np.float64)
        shares = np.exp(scores[best] - scores[best].max()).astype(np.float64)
        shares /= shares.sum()
        mean = of_best @ shares
        centered = of_best - mean[:, None]
        curvature = (centered * shares) @ centered.T
        slope = centered[:, int(places[0])]
        own = self._own(length)
        index = np.concatenate([np.arange(self._size), np.arange(own.start, own.stop)])
        self._curvature *= KEPT
        self._curvature[np.diag_indices_from(self._curvature)] += (1.0 - KEPT) * self._floor
        self._curvature[index[:, None], index] += np.tile(curvature, (2, 2))
        gradient = np.zeros_like(self._weights)
        gradient[index] = np.tile(slope, 2)
        self._weights = self._weights + np.linalg.solve(self._curvature, gradient)
        self.steps += 1

    def _own(self, length: int) -> slice:
        bucket = int(np.searchsorted(BUCKETS, length, side="right"))
        return slice(self._size * (1 + bucket), self._size * (2 + bucket))


def _best(scores: Floats) -> Ints:
    """Places of the highest finite scores, in order of place."""
    finite = np.flatnonzero(np.isfinite(scores))
    if len(finite) > BEST_MAX:
        finite = finite[np.argpartition(-scores[finite], BEST_MAX)[:BEST_MAX]]
    return np.sort(finite)
