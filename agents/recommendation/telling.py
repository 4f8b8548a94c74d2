"""What the catalog tells of every title for a profile, which needs no watch of the title."""

from __future__ import annotations

from typing import Final

import numpy as np

from agents.recommendation.episodes import NONE
from agents.recommendation.model import Told
from agents.recommendation.numbers import Ints
from agents.recommendation.offers import Offers
from agents.recommendation.profile import Learned, ProfileState

NEW_HALF_LIFE_MS: Final = 7 * 86_400_000


def tell(offers: Offers, watched: Ints, liked: Ints, now_ms: int) -> Told:
    """`watched` and `liked` are places, newest first."""
    count = len(offers)
    before = offers.episodes.before(count)
    has_before = before != NONE
    is_watched = np.zeros(count, dtype=np.bool_)
    is_watched[watched] = True
    is_liked = np.zeros(count, dtype=np.bool_)
    is_liked[liked] = True
    ages_ms = np.maximum(0, now_ms - offers.added_at_ms(np.arange(count)))
    features = np.zeros((4, count), dtype=np.float32)
    features[0] = offers.likeness.to(offers.likeness.taste(liked))
    features[1] = 0.5 ** (ages_ms / NEW_HALF_LIFE_MS)
    features[2] = has_before & is_liked[before] & ~is_watched
    if len(liked):
        features[3] = has_before & (before == liked[0]) & ~is_watched
    return Told(offers.pool, features, has_before & ~is_watched[before])


def told_now(offers: Offers, profile: ProfileState, now_ms: int) -> Told:
    """For what the profile would get now: what it says of titles counts."""
    watched = offers.places_of(profile.titles)
    return tell(offers, watched, offers.places_of(profile.liked()), now_ms)


def told_before(offers: Offers, profile: ProfileState, learned: Learned) -> Told:
    """For what a watch teaches, right after `apply` gave it: as it was before, by watches alone."""
    liked = (key for key in learned.history if not profile.titles[key].is_rejected)
    watched = offers.places_of(learned.history)
    return tell(offers, watched, offers.places_of(liked), learned.at_ms)
