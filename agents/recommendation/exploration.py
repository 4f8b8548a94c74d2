"""One place in ten is drawn, so that what the model would not show can prove itself.

The probability of what was drawn is served with it: with these propensities another policy can be
judged on the lists of this one (inverse propensity scoring). A draw depends on the profile and the
hour and on nothing else, so a page that is looked at again is the same, and a restart changes none.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from hashlib import blake2b
from itertools import accumulate
from typing import Final, NamedTuple

EXPLORED_EVERY: Final = 10
EXPLORED_FIRST: Final = 7
"""The first drawn place, from 0: below what is seen at once."""
DRAWN_MS: Final = 3_600_000
"""So long a draw stays the same."""


class Drawn(NamedTuple):
    """What was drawn, and how probable it was."""

    content_id: str
    propensity: float


def is_explored(place: int) -> bool:
    """Whether this place of a row, from 0, is drawn."""
    return place % EXPLORED_EVERY == EXPLORED_FIRST


def draw(groups: Sequence[Sequence[str]], profile_id: str, place: int, now_ms: int) -> Drawn | None:
    """One title of groups that are sorted best first; None where they are empty.

    The r-th of a group weighs 1/r: the best are likely, and none is impossible.
    """
    weights: dict[str, float] = {}
    for group in groups:
        for rank, content_id in enumerate(group, start=1):
            weights[content_id] = weights.get(content_id, 0.0) + 1.0 / rank
    if not weights:
        return None
    sums = list(accumulate(weights.values()))
    found = bisect_right(sums, _chance(profile_id, place, now_ms) * sums[-1])
    content_id = list(weights)[min(found, len(sums) - 1)]
    return Drawn(content_id, weights[content_id] / sums[-1])


def _chance(profile_id: str, place: int, now_ms: int) -> float:
    """From 0 up to 1, evenly."""
    text = f"{profile_id}\x1f{now_ms // DRAWN_MS}\x1f{place}"
    return int.from_bytes(blake2b(text.encode(), digest_size=6).digest(), "big") / 2.0**48
