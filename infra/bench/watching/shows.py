"""The catalog of a scenario: films and series, how alike they are, and when each title comes."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from infra.bench.watching.scenario import Scenario
from schemas.catalog import Episode, Title

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

START_MS: Final = 1_767_225_600_000
"""2026-01-01, UTC: day 0."""
DAY_MS: Final = 86_400_000
BEFORE_DAYS: Final = 1_000.0
"""What is there before the run came within so many days before it."""
PEOPLE_WIDTH: Final = 6
"""Dimensions of what people of a show bring to it."""
GENRE_CONCENTRATION: Final = 0.15
"""Of a Dirichlet distribution: most shows have one or two genres."""
GENRE_TOLD_MIN: Final = 0.2
"""A genre with this share of a show stands in the catalog."""


class Shows:
    """Films and series by number; their titles by number, a series' episodes one after another."""

    def __init__(self, scenario: Scenario, rng: np.random.Generator) -> None:
        catalog = scenario.catalog
        count = catalog.films + catalog.series
        self._scenario = scenario
        self.episodes: Ints = np.repeat(
            [1, catalog.episodes], [catalog.films, catalog.series]
        ).astype(np.int64)
        self.first_title: Ints = np.cumsum(self.episodes) - self.episodes
        self.title_count = int(self.episodes.sum())
        self.show_of: Ints = np.repeat(np.arange(count), self.episodes)
        self.genres = rng.dirichlet([GENRE_CONCENTRATION] * catalog.genres, count).astype(
            np.float32
        )
        """(shows, genres): shares."""
        self._people = rng.integers(catalog.people, size=(count, 2))
        of_people = rng.normal(size=(catalog.people, PEOPLE_WIDTH))
        self.manner = (of_people[self._people].sum(axis=1) / np.sqrt(2 * PEOPLE_WIDTH)).astype(
            np.float32
        )
        """(shows, PEOPLE_WIDTH)."""
        self.quality = (catalog.quality_spread * rng.normal(size=count)).astype(np.float32)
        self.released_day = self._releases(count, rng)
        """(titles,): from the start of the run; below 0: before it."""
        self.release_order: Ints = np.argsort(self.released_day, kind="stable")

    def _releases(self, count: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
        scenario = self._scenario
        released = -BEFORE_DAYS * rng.random(count)
        premieres = rng.random(count) < scenario.catalog.premieres_ratio
        premieres[int(rng.integers(count))] = False  # Day 0 has something.
        released[premieres] = scenario.days * rng.random(int(premieres.sum()))
        number = np.arange(self.title_count) - self.first_title[self.show_of]
        found: npt.NDArray[np.float64] = (
            released[self.show_of] + number * scenario.catalog.episode_every_days
        )
        return found

    def boost(self, day: float) -> Floats:
        """(shows,): what the seasons of this time add to the utility of each."""
        wanted = np.zeros(self.genres.shape[1], dtype=np.float32)
        for season in self._scenario.seasons:
            if season.is_on(day):
                wanted[season.genre] += season.boost
        boost: Floats = self.genres @ wanted
        return boost

    def title(self, number: int) -> Title:
        """The title as a catalog tells it."""
        show = int(self.show_of[number])
        is_film = show < self._scenario.catalog.films
        episode = number - int(self.first_title[show]) + 1
        is_described = self._scenario.catalog.is_described
        is_told = is_described and not is_film
        name = f"Film{show}" if is_film else f"Series{show}, episode {episode}"
        genres = np.flatnonzero(self.genres[show] >= GENRE_TOLD_MIN).tolist()
        people = self._people[show].tolist()
        added_at_ms = START_MS + round(self.released_day[number] * DAY_MS)
        return Title(
            content_id=content_id_of(number),
            title=name if is_described else f"Title{number}",
            duration_ms=6_000_000 if is_film else 2_400_000,
            episode=Episode(series=f"series{show}", number=episode) if is_told else None,
            genres=tuple(f"genre{genre}" for genre in genres) if is_described else (),
            people=tuple(f"person{person}" for person in people) if is_described else (),
            added_at_ms=added_at_ms,
        )


def content_id_of(number: int) -> str:
    """The content id of a title's number."""
    return f"t{number}"


def number_of(content_id: str) -> int:
    """The number of a title by its content id."""
    return int(content_id[1:])
