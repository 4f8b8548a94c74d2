"""The rows of a profile's page: a pure function of profile, model, catalog and time."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from agents.recommendation.filters import Viewer
from agents.recommendation.model import Context, Ranked, TitleModel, Told
from agents.recommendation.numbers import Floats, Ints
from agents.recommendation.offers import Flags, Offers
from agents.recommendation.picks import (
    CHOICES_PER_PLACE,
    DRAWN_FROM_MAX,
    Pick,
    Reader,
    choose_picks,
)
from agents.recommendation.profile import ProfileState
from agents.recommendation.telling import told_now
from schemas.catalog import Title
from schemas.recommendations import RecommendationRow, RecommendedTitle

POLICY_VERSION: Final = "rows-7"
"""Changes with whatever changes which title stands where, or how probably."""
COUNT_MAX: Final = 100
BECAUSE_ROWS_MAX: Final = 2
BECAUSE_HISTORY_MAX: Final = 10
"""How far back such a row may look."""
ROW_TITLES_MIN: Final = 2
"""Of a row that belongs to a title: a row of one title is none."""
NEW_MS: Final = 60 * 86_400_000
"""So long a title counts as new."""
NEW_HALF_LIFE_MS: Final = 14 * 86_400_000
"""Likeness 0.5 outweighs this age."""
SIMILAR_MIN: Final = 0.3
"""Cosine: what two titles share by a word or by chance stays below."""


class _Page(NamedTuple):
    """What every row needs."""

    profile_id: str
    profile: ProfileState
    model: TitleModel
    offers: Offers
    viewer: Viewer
    now_ms: int
    size: int
    """Titles of a row at most."""
    is_open: Flags
    """Neither forbidden to the viewer nor hidden by the profile."""
    begun: Flags
    """May be offered, and was left in the middle."""
    fresh: Ints
    """Places, newest first: may be recommended, and was not left in the middle."""
    unseen: Ints
    """Those of them that the profile never began."""
    told: Told
    recent: Ints
    """Of the unseen: what was added lately, by age and likeness."""


def build_rows(
    profile_id: str,
    profile: ProfileState,
    model: TitleModel,
    offers: Offers,
    viewer: Viewer,
    now_ms: int,
    *,
    count: int,
) -> tuple[RecommendationRow, ...]:
    """The rows, at most `count` titles each; rows without titles are left out.

    Nothing in them is forbidden to the viewer or hidden by the profile; but for its own list
    nothing was watched to the end. What was begun stands in "continue watching" only.
    """
    if not len(offers):
        return ()
    page = _page(profile_id, profile, model, offers, viewer, now_ms, max(1, min(count, COUNT_MAX)))
    rows = [
        _continue_watching(page),
        _my_list(page),
        _top_picks(page),
        *_because_you_watched(page),
        *_similar(page),
        _trending(page),
        _new(page),
    ]
    return tuple(row for row in rows if row.items)


def _page(
    profile_id: str,
    profile: ProfileState,
    model: TitleModel,
    offers: Offers,
    viewer: Viewer,
    now_ms: int,
    size: int,
) -> _Page:
    is_open = offers.open_to(viewer, now_ms)
    seen = np.zeros(len(offers), dtype=np.bool_)
    begun = np.zeros(len(offers), dtype=np.bool_)
    told = told_now(offers, profile, now_ms)
    seen[offers.places_of(profile.titles)] = True
    begun[offers.places_of(key for key in profile.titles if profile.resume_ms(key))] = True
    is_open[offers.places_of(profile.hidden())] = False
    is_over = np.zeros(len(offers), dtype=np.bool_)
    is_over[offers.places_of(key for key in profile.titles if profile.is_completed(key))] = True
    begun &= is_open & ~is_over
    is_fresh = is_open & ~begun & ~is_over & ~offers.buried() & ~told.is_early
    is_fresh[offers.places_of(filter(profile.is_disliked, profile.feedback))] = False
    fresh = offers.newest_first(is_fresh)
    unseen = fresh[~seen[fresh]]
    return _Page(
        profile_id=profile_id,
        profile=profile,
        model=model,
        offers=offers,
        viewer=viewer,
        now_ms=now_ms,
        size=size,
        is_open=is_open,
        begun=begun,
        fresh=fresh,
        unseen=unseen,
        told=told,
        recent=_recent(offers, unseen, told.features[0], now_ms),
    )


def _continue_watching(page: _Page) -> RecommendationRow:
    titles = map(page.offers.at, np.flatnonzero(page.begun).tolist())
    by_age = sorted(
        ((page.profile.titles[title.content_id].at_ms, title) for title in titles),
        key=lambda each: (-each[0], each[1].content_id),
    )
    items = tuple(
        RecommendedTitle(
            content_id=title.content_id,
            title=title.title,
            score=float(at_ms),
            reason=f"You stopped at {_clock(page.profile.resume_ms(title.content_id))}",
            playhead_ms=page.profile.resume_ms(title.content_id),
        )
        for at_ms, title in by_age[: page.size]
    )
    return RecommendationRow(row="continue-watching", reason="Continue watching", items=items)


def _my_list(page: _Page) -> RecommendationRow:
    places = page.offers.places_of(page.profile.favorites())
    titles = map(page.offers.at, places[page.is_open[places]][: page.size].tolist())
    items = tuple(
        RecommendedTitle(
            content_id=title.content_id,
            title=title.title,
            score=float(page.profile.feedback[title.content_id].at_ms),
            reason="On your list",
        )
        for title in titles
    )
    return RecommendationRow(row="my-list", reason="My list", items=items)


def _top_picks(page: _Page) -> RecommendationRow:
    """Of titles that the model cannot tell apart the one most like the profile's comes first.

    Without a taste it is what people watch in its region and on such devices; none: no picks.
    """
    offers = page.offers
    ranked = _ranked(page)
    items: tuple[RecommendedTitle, ...] = ()
    if ranked or page.profile.taste():
        is_fresh = np.zeros(len(offers), dtype=np.bool_)
        is_fresh[page.fresh] = True
        new = page.recent[: 2 * DRAWN_FROM_MAX]
        picks = choose_picks(
            ranked,
            [offers.at(place).content_id for place in new.tolist()],
            offers.pinned(is_fresh),
            offers,
            Reader(page.profile_id, page.profile.liked(), page.now_ms),
            page.size,
        )
        items = tuple(_picked(pick, page) for pick in picks)
    return RecommendationRow(row="top-picks", reason="Top picks for you", items=items)


def _ranked(page: _Page) -> list[Ranked]:
    taste = page.profile.taste()
    viewer = page.viewer
    ranked = page.model.rank(
        Context(taste, page.profile_id, region=viewer.region, os=viewer.os, told=lambda: page.told),
        page.offers.candidates(page.fresh),
        CHOICES_PER_PLACE * page.size + DRAWN_FROM_MAX,
    )
    return ranked if taste else [each for each in ranked if each.is_popular]


def _because_you_watched(page: _Page) -> list[RecommendationRow]:
    rows: list[RecommendationRow] = []
    unseen = page.offers.candidates(page.unseen)
    for watched in page.profile.liked()[:BECAUSE_HISTORY_MAX]:
        if len(rows) == BECAUSE_ROWS_MAX:
            break
        title = page.offers.get(watched)
        ranked = page.model.after(watched, unseen, page.size) if title is not None else []
        if title is None or len(ranked) < ROW_TITLES_MIN:
            continue
        reason = _because(title, page.profile)
        items = tuple(_item(each, page.offers, reason) for each in ranked)
        rows.append(RecommendationRow(row=f"because:{watched}", reason=reason, items=items))
    return rows


def _similar(page: _Page) -> list[RecommendationRow]:
    """Titles like the newest that it liked, by what is written: nobody need have watched them."""
    newest = next(iter(page.profile.liked()), "")
    title = page.offers.get(newest)
    if title is None:
        return []
    items = similar_titles(title, page.offers, page.unseen, page.size)
    if len(items) < ROW_TITLES_MIN:
        return []
    reason = f"Similar to {title.title}"
    return [RecommendationRow(row=f"similar:{newest}", reason=reason, items=items)]


def similar_titles(
    title: Title, offers: Offers, places: Ints, count: int
) -> tuple[RecommendedTitle, ...]:
    """Those of the places that are like the title, most like first; the score is the cosine."""
    taste = offers.likeness.taste(offers.places_of((title.content_id,)))
    likeness = offers.likeness.to(taste)[places]
    order = np.argsort(-likeness, kind="stable")[: count + 1]
    return tuple(
        RecommendedTitle(
            content_id=other.content_id,
            title=other.title,
            score=round(float(likeness[place]), 6),
            reason=_shared(title, other),
        )
        for place in order.tolist()
        if likeness[place] >= SIMILAR_MIN
        and (other := offers.at(int(places[place]))).content_id != title.content_id
    )[:count]


def _trending(page: _Page) -> RecommendationRow:
    ranked = page.model.popular(page.offers.candidates(page.fresh), page.size, page.viewer.region)
    items = tuple(
        _item(
            each,
            page.offers,
            f"Popular now in {page.viewer.region}" if each.score > 1 else "Popular now",
        )
        for each in ranked
    )
    return RecommendationRow(row="trending", reason="Trending now", items=items)


def _new(page: _Page) -> RecommendationRow:
    places = page.recent[: page.size]
    items = tuple(
        RecommendedTitle(
            content_id=title.content_id,
            title=title.title,
            score=float(title.added_at_ms),
            reason="New",
        )
        for title in map(page.offers.at, places.tolist())
    )
    return RecommendationRow(row="new", reason="New for you", items=items)


def _recent(offers: Offers, unseen: Ints, likeness: Floats, now_ms: int) -> Ints:
    """What was added lately, by age and likeness; where nothing was, the newest there is."""
    ages = now_ms - offers.added_at_ms(unseen)
    recent = unseen[ages <= NEW_MS]
    if not len(recent):
        return unseen
    freshness = 0.5 ** (ages[ages <= NEW_MS] / NEW_HALF_LIFE_MS)
    scores = freshness + likeness[recent]
    found: Ints = recent[np.argsort(-scores, kind="stable")]
    return found


def _picked(pick: Pick, page: _Page) -> RecommendedTitle:
    if pick.ranked is not None:
        return _item(pick.ranked, page.offers, _reason(pick.ranked, page))
    title = page.offers.get(pick.content_id)
    assert title is not None, "what is picked is offered"
    is_drawn = pick.propensity < 1.0
    return RecommendedTitle(
        content_id=title.content_id,
        title=title.title,
        score=0.0,
        reason="Something different" if is_drawn else "Chosen by our editors",
        propensity=round(pick.propensity, 6),
    )


def _reason(ranked: Ranked, page: _Page) -> str:
    because = page.offers.get(ranked.because) if ranked.because is not None else None
    if because is not None:
        return _because(because, page.profile)
    return "Popular now" if ranked.is_popular else "New"


def _because(title: Title, profile: ProfileState) -> str:
    is_watched = title.content_id in profile.titles
    return f"Because you {'watched' if is_watched else 'like'} {title.title}"


def _shared(title: Title, other: Title) -> str:
    people = [person for person in title.people if person in other.people]
    genres = [genre for genre in title.genres if genre in other.genres]
    if people:
        return f"Also with {people[0]}"
    return f"Also {', '.join(genres)}" if genres else f"Similar to {title.title}"


def _item(ranked: Ranked, offers: Offers, reason: str) -> RecommendedTitle:
    title = offers.get(ranked.content_id)
    assert title is not None, "what is ranked is offered"
    return RecommendedTitle(
        content_id=ranked.content_id,
        title=title.title,
        score=round(ranked.score, 6),
        reason=reason,
    )


def _clock(playhead_ms: int) -> str:
    minutes, seconds = divmod(playhead_ms // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
