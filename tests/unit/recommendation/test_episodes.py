from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agents.recommendation.episodes import NONE, Episodes
from agents.recommendation.model import Told
from agents.recommendation.offers import Offers
from agents.recommendation.tastes import Tastes
from agents.recommendation.telling import NEW_HALF_LIFE_MS, tell
from schemas.catalog import Episode, Title
from tests.builders import NOW_MS, a_title, a_watch
from tests.unit.recommendation.test_rows import ids, listing, rows

numbers = st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.integers(0, 3))


def an_episode(number: int, *, series: str = "north", season: int = 1, **changes: Any) -> Title:
    episode = Episode(series=series, season=season, number=number)
    return a_title(f"{series}-{season}-{number}", episode=episode, **changes)


def offered(*titles: Title) -> Offers:
    offers = Offers()
    for title in titles:
        offers.put(title.content_id, title)
    return offers


def told_of(offers: Offers, *watched: int) -> Told:
    places = np.array(watched, dtype=np.int64)
    return tell(offers, places, places, NOW_MS)


@given(st.lists(numbers, unique=True, max_size=12))
def test_before_an_episode_comes_the_highest_lower_one_of_its_series(
    known: list[tuple[str, int, int]],
) -> None:
    episodes = Episodes()
    for place, (series, season, number) in enumerate(known):
        title = an_episode(number, series=series, season=season)
        episodes.put(place, title)
    before = episodes.before(len(known)).tolist()
    for place, each in enumerate(known):
        lower = [other for other in known if other[0] == each[0] and other < each]
        assert before[place] == (known.index(max(lower)) if lower else NONE)


def test_what_is_removed_or_not_listed_is_stepped_over() -> None:
    episodes = Episodes()
    for place in range(3):
        episodes.put(place, an_episode(place + 1))
    assert episodes.before(3).tolist() == [NONE, 0, 1]
    episodes.put(1, an_episode(2, listed=False))
    assert episodes.before(3).tolist() == [NONE, NONE, 0]
    episodes.put(0, None)
    assert episodes.before(3).tolist() == [NONE, NONE, NONE]


def test_the_catalog_tells_what_is_next_early_and_new() -> None:
    old: dict[str, Any] = {"added_at_ms": NOW_MS - NEW_HALF_LIFE_MS}
    offers = offered(*(an_episode(n) for n in (1, 2, 3)), a_title("film", **old))
    told = told_of(offers, 0)
    assert told.is_early.tolist() == [False, False, True, False]
    assert told.features[1].tolist() == [1.0, 1.0, 1.0, 0.5]
    assert told.features[2].tolist() == told.features[3].tolist() == [0.0, 1.0, 0.0, 0.0]
    later = told_of(offers, 3, 0)
    assert later.features[2].tolist() == [0.0, 1.0, 0.0, 0.0]
    assert not later.features[3].any()
    assert not told_of(offered()).features.size


def test_nobody_is_offered_an_episode_whose_last_one_is_unwatched() -> None:
    tastes = Tastes()
    for n, content_id in enumerate(("film", "north-1-1")):
        tastes.take(a_watch(content_id, "completed", at_ms=NOW_MS + n), 0, n)
    titles = {title.content_id: title for title in (*map(an_episode, (1, 2, 3)), a_title("film"))}
    found = rows(tastes, titles)
    assert ids(found["top-picks"])[0] == "north-1-2"
    assert all("north-1-3" not in ids(row) for row in found.values())


def test_the_mixture_learns_how_far_the_next_episode_and_new_titles_are_wanted() -> None:
    """Of a new series nobody is known to go on: what the catalog tells must say it."""
    titles = [an_episode(n, series=f"s{s}") for s in range(30) for n in (1, 2, 3)]
    listed = {title.content_id: title for title in titles}
    tastes = listing(Tastes(), listed)
    offset = 0
    rng = np.random.default_rng(7)
    for viewer in range(150):
        for series in rng.permutation(20)[:3].tolist():
            for number in (1, 2, 3):
                watch = a_watch(
                    f"s{series}-1-{number}",
                    "completed",
                    profile_id=f"p{viewer}",
                    at_ms=NOW_MS + offset,
                )
                tastes.take(watch, 0, offset)
                offset += 1
    tastes.take(a_watch("s25-1-1", "completed", at_ms=NOW_MS + offset), 0, offset)
    found = rows(tastes, listed)
    assert ids(found["top-picks"])[0] == "s25-1-2"
    parts = {part.expert: part for part in tastes.explain("profile-1", "s25-1-2", NOW_MS).experts}
    assert parts["next_at_once"].part + parts["next_episode"].part > 2.0
