"""What the agent needs of a model of titles: it learns, ranks, and says because of what."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from agents.recommendation.numbers import Candidates, Floats, Pool
from agents.recommendation.ridge import RidgeSnapshot, RidgeWeights


class Ranked(NamedTuple):
    """A candidate and its score."""

    content_id: str
    score: float
    because: str | None = None
    """The watched title that spoke for it most, if any did."""
    is_popular: bool = False
    """Whether anybody watched it lately."""


class Told(NamedTuple):
    """What the catalog tells of the titles of a pool, for one profile at one time."""

    pool: Pool
    features: Floats
    """(4, places): cosine with what it liked; newness, 1 is now; next of a series; next of the
    series that it watched last.
    """
    is_early: npt.NDArray[np.bool_]
    """(places,): an episode whose last one was not watched."""


class Context(NamedTuple):
    """Whom a watch or a list is of, as far as it matters."""

    history: Sequence[str]
    """Newest first, without the title that is learned now, unless it was watched before."""
    who: str = ""
    """Joins the plays of one sequence: a profile, or a session where nobody is known."""
    seen: Collection[str] = ()
    """All that was ever watched, where the history does not hold it."""
    region: str = ""
    """ISO 3166-1 region where it is watched; empty: not known."""
    os: str = ""
    """Of the device that it is watched on; empty: not known."""
    told: Callable[[], Told] | None = None
    """Of the same titles as the candidates; None: there is no catalog."""


class Part(NamedTuple):
    """What one expert says of a title."""

    expert: str
    score: float
    """Log score above that of the mean title."""
    weight: float


class TitleModel(Protocol):
    """Answers are best first, at most `count`, and equal scores keep the candidates' order."""

    version: str

    @property
    def is_solve_due(self) -> bool:
        """Whether enough was learned since the last snapshot."""

    def snapshot(self) -> RidgeSnapshot:
        """What `ridge.solve` needs, copied."""

    def adopt(self, weights: RidgeWeights) -> None:
        """Take what `ridge.solve` found, at once."""

    def learn(self, context: Context, content_id: str, weight: float, at_ms: int) -> None:
        """One watch of this strength in this context, or a further step of the last one."""

    def forget(self, who: str) -> None:
        """Drop what joins somebody's plays; what was learned of them names nobody."""

    def rank(
        self, context: Context, candidates: Collection[str] | Candidates, count: int
    ) -> list[Ranked]:
        """The best of all candidates; without a history by region and device too."""

    def after(
        self, content_id: str, candidates: Collection[str] | Candidates, count: int
    ) -> list[Ranked]:
        """The candidates that were watched after this one; maybe none."""

    def explain(self, context: Context, content_id: str) -> list[Part]:
        """Every expert's word on the title now."""

    def popular(
        self, candidates: Collection[str] | Candidates, count: int, region: str = ""
    ) -> list[Ranked]:
        """The candidates that anybody watched lately; a score above 1: in the region."""
