"""Who watches what, when and why: a scenario, as its file says it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

NotNegative = Annotated[float, Meta(ge=0, le=1_000)]
Ratio = Annotated[float, Meta(ge=0, le=1)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]

TITLES_MAX: Final = 20_000
LIKINGS_MAX: Final = 20_000_000
"""People times shows: 80 MB of likings."""
PLAYS_MAX: Final = 2_000_000


class Catalog(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What there is to watch. A show is a film or a series."""

    films: Annotated[int, Meta(ge=0, le=TITLES_MAX)] = 500
    series: Annotated[int, Meta(ge=0, le=TITLES_MAX)] = 50
    episodes: Annotated[int, Meta(ge=1, le=500)] = 10
    """Of a series; each is a title of its own, and one is watched after the other."""
    episode_every_days: NotNegative = 0.0
    """Between episodes of a series; 0: all are there at once."""
    premieres_ratio: Ratio = 0.2
    """Of all shows: those that come during the run, evenly; the others are there before it."""
    novelty_boost: NotNegative = 1.5
    """What a title of today has more utility than an old one."""
    novelty_half_life_days: Annotated[float, Meta(gt=0, le=10_000)] = 7.0
    genres: Annotated[int, Meta(ge=1, le=100)] = 12
    people: Annotated[int, Meta(ge=1, le=20_000)] = 150
    """Who make the shows, two each: what one likes in a show besides its genres is theirs."""
    quality_spread: NotNegative = 1.0
    """Standard deviation of what every viewer finds of a show alike."""
    is_described: bool = True
    """Whether the catalog tells genres, people and series with their episodes."""


class Audience(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who watches. A profile is one person, or a household of several with tastes of their own."""

    profiles: Annotated[int, Meta(ge=1, le=200_000)] = 400
    arriving_ratio: Ratio = 0.3
    """Of all profiles: those that come during the run, evenly; the others are there from day 0."""
    household_ratio: Ratio = 0.2
    """Of all profiles: those that several people share."""
    household_people: Annotated[int, Meta(ge=2, le=10)] = 3
    taste_strength: NotNegative = 1.5
    """Standard deviation of what a person finds of a show; 0: everybody likes the same."""
    sittings_per_day: Annotated[float, Meta(gt=0, le=24)] = 0.5
    plays_per_sitting: Annotated[float, Meta(ge=1, le=20)] = 2.0
    """Mean of a geometric distribution."""
    follow_boost: NotNegative = 3.0
    """What the next episode of a series that one has begun has more utility than a first one."""
    binge_boost: NotNegative = 2.0
    """The same again where the episode before it was watched in this sitting."""
    abandon_ratio: Ratio = 0.15
    """Of plays of a show that one neither likes nor dislikes: those left at once, and for good."""
    list_influence: Ratio = 0.3
    """Of plays: those chosen among the titles that are recommended, the higher the likelier."""


class Season(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A time at which a genre is wanted more."""

    genre: Annotated[int, Meta(ge=0)]
    """From 0."""
    boost: Annotated[float, Meta(ge=-1_000, le=1_000)] = 2.0
    """Added to the utility of a show that is of this genre alone."""
    from_day: NotNegative = 0.0
    to_day: NotNegative | None = None
    """None: to the end."""
    every_days: NotNegative = 0.0
    """The days are counted anew after so many (7: weekends, say); 0: never."""
    from_hour: Annotated[float, Meta(ge=0, le=24)] = 0.0
    to_hour: Annotated[float, Meta(ge=0, le=24)] = 24.0
    """Before `from_hour`: over midnight."""

    def __post_init__(self) -> None:
        if self.to_day is not None and self.to_day <= self.from_day:
            raise ValueError("to_day must be after from_day")
        if self.from_hour == self.to_hour:
            raise ValueError("from_hour and to_hour are equal: the season would never be")

    def is_on(self, day: float) -> bool:
        """Whether it is the season at this time, in days from the start of the run."""
        counted = day % self.every_days if self.every_days else day
        if counted < self.from_day or (self.to_day is not None and counted >= self.to_day):
            return False
        hour = day % 1 * 24
        if self.from_hour < self.to_hour:
            return self.from_hour <= hour < self.to_hour
        return hour >= self.from_hour or hour < self.to_hour


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of it."""

    name: Name
    days: Annotated[int, Meta(ge=2, le=3_650)] = 60
    seed: Annotated[int, Meta(ge=0)] = 1
    list_size: Annotated[int, Meta(ge=1, le=100)] = 10
    catalog: Catalog = Catalog()
    audience: Audience = Audience()
    seasons: Annotated[tuple[Season, ...], Meta(max_length=100)] = ()

    def __post_init__(self) -> None:
        catalog, audience = self.catalog, self.audience
        if not catalog.films + catalog.series:
            raise ValueError("catalog: there must be a film or a series")
        if catalog.premieres_ratio == 1.0:
            raise ValueError("catalog.premieres_ratio must be below 1: day 0 needs titles")
        titles = catalog.films + catalog.series * catalog.episodes
        if titles > TITLES_MAX:
            raise ValueError(f"catalog: {titles} titles, at most {TITLES_MAX}")
        people = audience.profiles * (1 + audience.household_ratio * audience.household_people)
        if people * (catalog.films + catalog.series) > LIKINGS_MAX:
            raise ValueError(f"people times films and series must be at most {LIKINGS_MAX}")
        sittings = audience.profiles * audience.sittings_per_day * self.days
        if sittings * audience.plays_per_sitting > PLAYS_MAX:
            raise ValueError(
                f"profiles x sittings_per_day x plays_per_sitting x days: at most {PLAYS_MAX}"
            )
        for season in self.seasons:
            if season.genre >= catalog.genres:
                raise ValueError(
                    f"a season's genre is {season.genre}, but there are {catalog.genres} from 0 on"
                )
            if season.from_day >= (season.every_days or self.days):
                raise ValueError(f"a season begins on day {season.from_day:g}, after the end")


def read_scenario(path: Path) -> Scenario:
    """Raises OSError; msgspec.ValidationError, which names the field, where the file is none."""
    return msgspec.json.decode(path.read_bytes(), type=Scenario)
