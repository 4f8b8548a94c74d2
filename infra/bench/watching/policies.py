"""What recommends: the product, and references beside it."""

from __future__ import annotations

from collections import defaultdict
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from agents.recommendation.filters import Viewer
from agents.recommendation.popularity import WEEK_MS, Popularity
from agents.recommendation.ridge import solve
from agents.recommendation.tastes import Tastes
from infra.bench.recommendations.viewers import Viewers
from infra.bench.watching.audience import LEFT_RATIO_MAX
from infra.bench.watching.shows import DAY_MS, START_MS, Ints, Shows, content_id_of, number_of
from schemas.recommendations import RecommendationRow
from schemas.watching import Watch

ANYBODY: Final = Viewer(maturity=21, region="", plan="")
Matrix = npt.NDArray[np.float64]
CONTINUE: Final = "continue-watching"
"""What was left in the middle is no recommendation."""


class Policy(Protocol):
    """Learns plays and lists titles by number, best first."""

    def release(self, title: int) -> None:
        """The catalog has the title from now on."""

    def recommend(self, profile: int, day: float, count: int) -> list[int]:
        """At most `count` titles, none twice."""

    def learn(self, profile: int, title: int, watched_ratio: float, day: float) -> None:
        """A play and its end."""


class Playhead:
    """The product: its fold of watches and its page, read from above."""

    def __init__(self, shows: Shows) -> None:
        self._shows = shows
        self._tastes = Tastes()
        self._offset = -1
        self._sessions = 0

    def release(self, title: int) -> None:
        """The catalog has the title from now on."""
        self._tastes.offers.put(content_id_of(title), self._shows.title(title))

    def recommend(self, profile: int, day: float, count: int) -> list[int]:
        """The first titles of the page's rows."""
        rows = self._tastes.rows(f"p{profile}", ANYBODY, _at_ms(day), count=count)
        return _read(rows, count)

    def learn(self, profile: int, title: int, watched_ratio: float, day: float) -> None:
        """The steps that the session fold tells of such a play."""
        self._sessions += 1
        self._take(profile, title, "started", 0.0, day)
        if watched_ratio >= LEFT_RATIO_MAX:
            self._take(profile, title, "progressed", 0.25, day)
        step = "completed" if watched_ratio == 1.0 else "abandoned"
        self._take(profile, title, step, watched_ratio, day)
        model = self._tastes.model
        if model.is_solve_due:
            model.adopt(solve(model.snapshot()))

    def _take(self, profile: int, title: int, step: str, ratio: float, day: float) -> None:
        self._offset += 1
        duration_ms = self._shows.title(title).duration_ms
        watch = Watch(
            profile_id=f"p{profile}",
            account_id=f"a{profile}",
            content_id=content_id_of(title),
            session_id=f"s{self._sessions}",
            step=step,  # type: ignore[arg-type]  # one of the literal's words
            playhead_ms=round(ratio * duration_ms),
            completion_ratio=ratio,
            at_ms=_at_ms(day),
        )
        self._tastes.take(watch, 0, self._offset)


class Model:
    """The product's model alone, without what makes a page of its ranking."""

    def __init__(self) -> None:
        self._viewers = Viewers([])

    def release(self, title: int) -> None:
        """The catalog has the title from now on."""
        self._viewers.offer(content_id_of(title))

    def recommend(self, profile: int, day: float, count: int) -> list[int]:
        """The first of its ranking."""
        best = self._viewers.recommend(f"p{profile}").best[:count]
        return [number_of(each.content_id) for each in best]

    def learn(self, profile: int, title: int, watched_ratio: float, day: float) -> None:
        """All plays alike, as the other bench has them."""
        self._viewers.learn(f"p{profile}", content_id_of(title), _at_ms(day) // 1_000)
        self._viewers.solve_if_due()


class Popular:
    """What was watched most lately; a week is the half-life."""

    def __init__(self, shows: Shows) -> None:
        self._counts = Popularity(WEEK_MS)
        self._unseen = Unseen(shows)
        self._titles: Ints = np.arange(shows.title_count)

    def release(self, title: int) -> None:
        """The catalog has the title from now on."""
        self._unseen.release(title)

    def recommend(self, profile: int, day: float, count: int) -> list[int]:
        """Of what the profile has not seen."""
        return self._unseen.best(profile, self._counts.shares(self._titles), count)

    def learn(self, profile: int, title: int, watched_ratio: float, day: float) -> None:
        """Counts the play."""
        self._counts.add(title, 1.0, _at_ms(day))
        self._unseen.see(profile, title)


class Markov:
    """What others watched right after the title watched last; then what is popular."""

    def __init__(self, shows: Shows) -> None:
        self._popular = Popular(shows)
        self._unseen = Unseen(shows)
        self._size = shows.title_count
        self._followed: defaultdict[int, defaultdict[int, float]] = defaultdict(
            lambda: defaultdict(float)
        )
        self._last: dict[int, int] = {}

    def release(self, title: int) -> None:
        """The catalog has the title from now on."""
        self._popular.release(title)
        self._unseen.release(title)

    def recommend(self, profile: int, day: float, count: int) -> list[int]:
        """Popular titles fill what counts of the last title leave."""
        scores = np.zeros(self._size)
        popular = self._popular.recommend(profile, day, count)
        scores[popular] = 1.0 / np.arange(2, 2 + len(popular))
        for title, followed in self._followed[self._last.get(profile, -1)].items():
            scores[title] += followed
        return self._unseen.best(profile, scores, count)

    def learn(self, profile: int, title: int, watched_ratio: float, day: float) -> None:
        """Counts the step from the last title to this one."""
        if profile in self._last:
            self._followed[self._last[profile]][title] += 1.0
        self._last[profile] = title
        self._popular.learn(profile, title, watched_ratio, day)
        self._unseen.see(profile, title)


class Random:
    """Any titles that the profile has not seen."""

    def __init__(self, shows: Shows, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._unseen = Unseen(shows)
        self._size = shows.title_count

    def release(self, title: int) -> None:
        """The catalog has the title from now on."""
        self._unseen.release(title)

    def recommend(self, profile: int, day: float, count: int) -> list[int]:
        """Drawn anew each time."""
        return self._unseen.best(profile, self._rng.random(self._size), count)

    def learn(self, profile: int, title: int, watched_ratio: float, day: float) -> None:
        """Remembers only what was seen."""
        self._unseen.see(profile, title)


class Unseen:
    """What the catalog has, without what a profile has seen."""

    def __init__(self, shows: Shows) -> None:
        self._is_out = np.zeros(shows.title_count, dtype=np.bool_)
        self._seen: defaultdict[int, list[int]] = defaultdict(list)

    def release(self, title: int) -> None:
        """The catalog has the title from now on."""
        self._is_out[title] = True

    def see(self, profile: int, title: int) -> None:
        """The profile needs it no more."""
        self._seen[profile].append(title)

    def best(self, profile: int, scores: Matrix, count: int) -> list[int]:
        """The highest scores; of equal ones the title that the catalog numbers lower."""
        left = np.where(self._is_out, scores, -np.inf)
        left[self._seen[profile]] = -np.inf
        best = np.argsort(-left, kind="stable")[:count]
        return [title for title in best.tolist() if left[title] > -np.inf]


def _read(rows: tuple[RecommendationRow, ...], count: int) -> list[int]:
    """The first titles of a page, row by row."""
    titles = dict.fromkeys(
        number_of(item.content_id) for row in rows if row.row != CONTINUE for item in row.items
    )
    return list(titles)[:count]


def _at_ms(day: float) -> int:
    return START_MS + round(day * DAY_MS)
