"""The row "top picks": a model's ranking, editors' rules, the profile's genres, exploration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from agents.recommendation.calibration import Choice, calibrate, genre_shares
from agents.recommendation.exploration import draw, is_explored
from agents.recommendation.model import Ranked
from agents.recommendation.offers import Offers
from schemas.catalog import Title

CHOICES_PER_PLACE: Final = 4
"""Ranked titles from which a place is chosen; a boost acts among these."""
PRIOR_TITLES: Final = 10.0
"""From so many titles on a history says more of the genres it wants than the ranking does."""
DRAWN_FROM_MAX: Final = 30
"""Of each group that a drawn place is drawn from."""


class Pick(NamedTuple):
    """A place of the row."""

    content_id: str
    ranked: Ranked | None
    """None: not the model put it here."""
    propensity: float = 1.0
    """Probability that this policy put the title at this place, given the places above."""


class Reader(NamedTuple):
    """For whom the row is."""

    profile_id: str
    liked: tuple[str, ...]
    """Newest first."""
    now_ms: int


def choose_picks(
    ranked: Sequence[Ranked],
    fresh: Sequence[str],
    pinned: Sequence[Title],
    offers: Offers,
    reader: Reader,
    count: int,
) -> list[Pick]:
    """At most `count` places, from the best first and from new titles by likeness.

    `pinned` are those that this viewer may see, in the order of their places.
    """
    titles = {each.content_id: offers.get(each.content_id) for each in ranked}
    choices = [_choice(each, titles[each.content_id]) for each in ranked]
    order = calibrate(choices, _wanted(reader.liked, choices, offers), count)
    fixed = {title.content_id for title in pinned}
    picks = [Pick(ranked[place].content_id, ranked[place]) for place in order]
    picks = [pick for pick in picks if pick.content_id not in fixed]
    listed = fixed | {pick.content_id for pick in picks[:count]}
    groups = [
        [content_id for content_id in group if _may_be_drawn(content_id, offers, listed)]
        for group in ((each.content_id for each in ranked), fresh)
    ]
    _explore(picks, groups, reader)
    for title in pinned:
        place = title.editorial.pinned_place or 1
        picks.insert(place - 1, Pick(title.content_id, None))
    return picks[:count]


def _explore(picks: list[Pick], groups: list[list[str]], reader: Reader) -> None:
    """Put what is drawn in the place of what stands there."""
    for place in filter(is_explored, range(len(picks))):
        nearest = [group[:DRAWN_FROM_MAX] for group in groups]
        drawn = draw(nearest, reader.profile_id, place, reader.now_ms)
        if drawn is None:
            return
        picks[place] = Pick(drawn.content_id, None, drawn.propensity)
        for group in groups:
            if drawn.content_id in group:
                group.remove(drawn.content_id)


def _choice(ranked: Ranked, title: Title | None) -> Choice:
    assert title is not None, "what is ranked is offered"
    rules = title.editorial
    return Choice(ranked.score + math.log(rules.boost), title.genres, rules.genre_titles_max)


def _wanted(liked: tuple[str, ...], choices: Sequence[Choice], offers: Offers) -> dict[str, float]:
    """Shares of genres: those of the history, and of the ranking where the history is short."""
    own = genre_shares(title.genres for title in map(offers.get, liked) if title is not None)
    if not own:
        return {}
    ranked = genre_shares(choice.genres for choice in choices)
    trust = len(liked) / (len(liked) + PRIOR_TITLES)
    return {
        genre: trust * own.get(genre, 0.0) + (1.0 - trust) * ranked.get(genre, 0.0)
        for genre in own | ranked
    }


def _may_be_drawn(content_id: str, offers: Offers, listed: set[str]) -> bool:
    """A rule for its genre cannot be kept at a place that is drawn."""
    title = offers.get(content_id)
    assert title is not None, "what is drawn is offered"
    return content_id not in listed and title.editorial.genre_titles_max is None
