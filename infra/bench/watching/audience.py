"""People: what each would choose now, with which probability, and what becomes of it.

A person chooses a show with the probability exp(utility) / sum of exp(utility) (multinomial logit,
McFadden 1974). Utility is quality + taste + novelty + season, and more for the next episode.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from infra.bench.watching.scenario import Scenario
from infra.bench.watching.shows import Floats, Ints, Shows

DAY_CURVE: Final = np.array(
    [4, 2, 1, 1, 1, 1, 2, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6, 8, 11, 14, 16, 15, 11, 7], dtype=np.float64
)
"""Sittings by the hour at which they begin."""
HABIT: Final = 2.5
"""How far the members of a household keep to their hours (von Mises)."""
PARTIAL_RATIO: Final = 0.2
"""Of plays that are not left at once: those that end in the middle."""
LEFT_RATIO_MAX: Final = 0.1
"""Who watches less of a title has left it at once, for good."""
PLAY_DAYS: Final = 0.75 / 24
"""From one play of a sitting to the next."""
DROPPED: Final = 1 << 20
"""Instead of the next episode: the person has done with the show."""

Matrix = npt.NDArray[np.float64]


class Plays(NamedTuple):
    """All plays to come, by time."""

    day: Matrix
    profile: Ints
    place: Ints
    """In the sitting, from 0."""
    luck: Matrix
    """(plays, 4) of [0, 1): who sits down, whether the list is used, what is chosen, its end."""


class Situation(NamedTuple):
    """Who may sit before the screen, and what they would choose without a list."""

    chances: Matrix
    """(titles,): probabilities, all sum to 1 but where nothing is left to watch."""
    is_next: npt.NDArray[np.bool_]
    """(titles,): the next episode of a series that somebody of them has begun."""


class Audience:
    """State of everybody. `sit_down`, then `situation`, `choose` and `watch`, play by play."""

    def __init__(self, scenario: Scenario, shows: Shows, rng: np.random.Generator) -> None:
        audience = scenario.audience
        self._scenario, self._shows = scenario, shows
        is_household = rng.random(audience.profiles) < audience.household_ratio
        self.sizes: Ints = np.where(is_household, audience.household_people, 1)
        """(profiles,): people."""
        self._first_person: Ints = np.cumsum(self.sizes) - self.sizes
        people = int(self.sizes.sum())
        genre_tastes = rng.normal(size=(people, scenario.catalog.genres)).astype(np.float32)
        manner_tastes = rng.normal(size=(people, shows.manner.shape[1])).astype(np.float32)
        strength = np.float32(audience.taste_strength / np.sqrt(2.0))
        self._liking: Floats = strength * (
            genre_tastes @ shows.genres.T + manner_tastes @ shows.manner.T
        )
        """(people, shows)."""
        self._hours = 24.0 * rng.random(people)
        self._next = np.zeros((people, len(shows.episodes)), dtype=np.int32)
        """(people, shows): the episode to come, from 0."""
        self._sitting = self._first_person.copy()
        """(profiles,): who sits there, or sat there last."""
        self._just_watched = np.full(audience.profiles, -1)
        """(profiles,): the show of the last play in this sitting."""

    def situation(self, profile: int, place: int, day: float) -> Situation:
        """Before the first play of a sitting nobody knows who sits there; then it is known."""
        people = self._people(profile) if place == 0 else [int(self._sitting[profile])]
        shares = self._presence(people, day)
        titles = self._shows.title_count
        chances, is_next = np.zeros(titles), np.zeros(titles, dtype=np.bool_)
        for person, share in zip(people, shares.tolist(), strict=True):
            numbers, found = self._chances(person, profile, place, day)
            chances[numbers] += share * found
            is_next[numbers[self._next[person][self._shows.show_of[numbers]] > 0]] = True
        return Situation(chances, is_next)

    def sit_down(self, profile: int, day: float, luck: float) -> None:
        """Somebody begins a sitting."""
        people = self._people(profile)
        found = np.searchsorted(np.cumsum(self._presence(people, day)), luck, side="right")
        self._sitting[profile] = people[min(int(found), len(people) - 1)]
        self._just_watched[profile] = -1

    def choose(
        self, profile: int, place: int, day: float, listed: list[int], luck: float
    ) -> int | None:
        """The title that the one who sits there takes, of a list if it offers any; or none."""
        numbers, chances = self._chances(int(self._sitting[profile]), profile, place, day)
        if listed:
            weights = np.zeros(self._shows.title_count)
            weights[listed] = discounts(len(listed))
            wanted = chances * weights[numbers]
            chances = wanted if wanted.sum() > 0 else chances
        if not len(numbers):
            return None
        sums = np.cumsum(chances)
        found = int(np.searchsorted(sums, luck * sums[-1], side="right"))
        return int(numbers[min(found, len(numbers) - 1)])

    def watch(self, profile: int, title: int, luck: float) -> float:
        """The share of the title that is watched: under LEFT_RATIO_MAX it is left, 1 is its end."""
        person, show = int(self._sitting[profile]), int(self._shows.show_of[title])
        ratio = self._scenario.audience.abandon_ratio
        liked = np.exp(float(self._liking[person, show]))
        left = ratio / max(ratio + (1.0 - ratio) * liked, 1e-12)
        if luck < left:
            self._next[person, show] = DROPPED
            return 0.03
        self._next[person, show] += 1
        self._just_watched[profile] = show
        return 0.5 if luck < left + (1.0 - left) * PARTIAL_RATIO else 1.0

    def _people(self, profile: int) -> list[int]:
        first = int(self._first_person[profile])
        return list(range(first, first + int(self.sizes[profile])))

    def _presence(self, people: list[int], day: float) -> Matrix:
        """(people,): the probability that it is this one who sits there at this hour."""
        angle = 2.0 * np.pi * (day % 1 * 24.0 - self._hours[people]) / 24.0
        weights = np.exp(HABIT * np.cos(angle))
        shares: Matrix = weights / weights.sum()
        return shares

    def _chances(self, person: int, profile: int, place: int, day: float) -> tuple[Ints, Matrix]:
        """What the person may watch now, and the probability of each."""
        shows, catalog, audience = self._shows, self._scenario.catalog, self._scenario.audience
        coming = self._next[person]
        open_shows = np.flatnonzero(coming < shows.episodes)
        numbers = shows.first_title[open_shows] + coming[open_shows]
        age = day - shows.released_day[numbers]
        is_out = age >= 0
        open_shows, numbers, age = open_shows[is_out], numbers[is_out], age[is_out]
        utility = self._liking[person, open_shows] + shows.quality[open_shows]
        utility = utility + shows.boost(day)[open_shows]
        utility = utility + catalog.novelty_boost * 0.5 ** (age / catalog.novelty_half_life_days)
        utility = utility + audience.follow_boost * (coming[open_shows] > 0)
        if place > 0:
            just = int(self._just_watched[profile])
            is_next = (open_shows == just) & (coming[open_shows] > 0)
            utility = utility + audience.binge_boost * is_next
        weights = np.exp(utility - utility.max(initial=-np.inf))
        return numbers, weights / max(float(weights.sum()), 1e-300)


def draw_plays(scenario: Scenario, rng: np.random.Generator) -> Plays:
    """When each profile sits down, and how often it plays then."""
    audience, days = scenario.audience, scenario.days
    arrives = np.where(
        rng.random(audience.profiles) < audience.arriving_ratio,
        days * rng.random(audience.profiles),
        0.0,
    )
    counts = rng.poisson(audience.sittings_per_day * (days - arrives))
    profile = np.repeat(np.arange(audience.profiles), counts)
    day = np.floor(arrives[profile] + (days - arrives[profile]) * rng.random(len(profile)))
    hour = rng.choice(24, size=len(profile), p=DAY_CURVE / DAY_CURVE.sum())
    begins = day + (hour + rng.random(len(profile))) / 24.0
    plays = rng.geometric(1.0 / audience.plays_per_sitting, len(profile))
    place = np.arange(int(plays.sum())) - np.repeat(np.cumsum(plays) - plays, plays)
    at = np.repeat(begins, plays) + place * PLAY_DAYS
    order = np.argsort(at, kind="stable")
    return Plays(
        at[order], np.repeat(profile, plays)[order], place[order], rng.random((len(order), 4))
    )


def discounts(count: int) -> Floats:
    """(count,): what a place of a list counts, 1 / log2(1 + place) from 1 on, as in nDCG."""
    found: Floats = (1.0 / np.log2(2.0 + np.arange(count))).astype(np.float32)
    return found
