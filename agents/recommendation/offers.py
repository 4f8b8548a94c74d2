"""The catalog as columns: which titles may be offered to whom, found without a loop over titles.

A change of a title touches its own place only; what depends on all of them is made again when it
is asked for next.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from agents.recommendation.episodes import Episodes
from agents.recommendation.filters import Viewer
from agents.recommendation.likeness import Likeness
from agents.recommendation.numbers import Candidates, Ints, Pool
from schemas.catalog import Title

Flags = npt.NDArray[np.bool_]

ALWAYS_MS: Final = 1 << 62

_COLUMNS: Final = np.dtype(
    [
        ("added_at_ms", np.int64),
        ("from_ms", np.int64),
        ("until_ms", np.int64),
        ("maturity", np.int16),
        ("is_listed", np.bool_),
        ("is_buried", np.bool_),
    ]
)


class Offers:
    """All titles by place; a title keeps its place, and what is removed is offered to nobody."""

    def __init__(self) -> None:
        self.likeness = Likeness()
        self.episodes = Episodes()
        self._places: dict[str, int] = {}
        self._titles: list[Title | None] = []
        self._columns = np.zeros(64, dtype=_COLUMNS)
        self._pool = Pool()
        self._pinned: dict[str, int] = {}
        self._newest_first: Ints | None = None
        self._of_region: dict[str, Flags] = {}
        self._of_plan: dict[str, Flags] = {}

    def __len__(self) -> int:
        """How many places there are."""
        return len(self._titles)

    def put(self, content_id: str, title: Title | None) -> None:
        """Take what the catalog says of a title now; None: it is removed."""
        place = self._places.setdefault(content_id, len(self._titles))
        if place == len(self._titles):
            self._titles.append(None)
            self._pool.append(content_id)
            if place >= len(self._columns):
                self._columns = np.pad(self._columns, (0, len(self._columns)))
        self._titles[place] = title
        self.likeness.put(place, title)
        self.episodes.put(place, title)
        self._pinned.pop(content_id, None)
        self._newest_first = None
        self._of_region.clear()
        self._of_plan.clear()
        if title is None:
            self._columns[place]["is_listed"] = False
            return
        until_ms = title.available_until_ms
        self._columns[place] = (
            title.added_at_ms,
            title.available_from_ms or 0,
            ALWAYS_MS if until_ms is None else until_ms,
            title.maturity,
            title.listed,
            title.editorial.is_buried,
        )
        if title.editorial.pinned_place is not None:
            self._pinned[content_id] = place

    def get(self, content_id: str) -> Title | None:
        """The title, if the catalog has it."""
        place = self._places.get(content_id)
        return None if place is None else self._titles[place]

    def at(self, place: int) -> Title:
        """The title of a place that was offered."""
        title = self._titles[place]
        assert title is not None, "what is removed is not offered"
        return title

    def places_of(self, content_ids: Iterable[str]) -> Ints:
        """The places of those that the catalog ever had, in their order."""
        found = map(self._places.get, content_ids)
        return np.array([place for place in found if place is not None], dtype=np.int64)

    def open_to(self, viewer: Viewer, now_ms: int) -> Flags:
        """(places,): what `filters.may_be_offered` says of each."""
        columns = self._columns[: len(self)]
        is_open: Flags = columns["is_listed"] & (columns["maturity"] <= viewer.maturity)
        is_open &= (columns["from_ms"] <= now_ms) & (now_ms < columns["until_ms"])
        return is_open & self._in_region(viewer.region) & self._in_plan(viewer.plan)

    def listed(self) -> Flags:
        """(places,): what the catalog lists, for whomever."""
        return self._columns["is_listed"][: len(self)]

    def buried(self) -> Flags:
        """(places,): what an editor wants in no row."""
        return self._columns["is_buried"][: len(self)]

    def pinned(self, is_wanted: Flags) -> list[Title]:
        """The wanted ones that an editor pinned, by their place; one a place, the first put."""
        found = sorted(place for place in self._pinned.values() if is_wanted[place])
        by_place: dict[int | None, Title] = {}
        for title in map(self.at, found):
            by_place.setdefault(title.editorial.pinned_place, title)
        return sorted(by_place.values(), key=lambda title: title.editorial.pinned_place or 0)

    def newest_first(self, is_wanted: Flags) -> Ints:
        """Places of the wanted ones; of equal age those that the catalog had first."""
        if self._newest_first is None:
            ages = -self._columns["added_at_ms"][: len(self)]
            self._newest_first = np.argsort(ages, kind="stable")
        order: Ints = self._newest_first[is_wanted[self._newest_first]]
        return order

    def added_at_ms(self, places: Ints) -> Ints:
        """(places,): when each came into the catalog."""
        added: Ints = self._columns["added_at_ms"][places]
        return added

    @property
    def pool(self) -> Pool:
        """All places, for what is told of each of them."""
        return self._pool

    def candidates(self, places: Ints) -> Candidates:
        """These, for a model to rank."""
        return Candidates(self._pool, places)

    def _in_region(self, region: str) -> Flags:
        if region not in self._of_region:
            allowed = [
                title is None or not title.regions or region in title.regions
                for title in self._titles
            ]
            self._of_region[region] = np.array(allowed, dtype=np.bool_)
        return self._of_region[region]

    def _in_plan(self, plan: str) -> Flags:
        if plan not in self._of_plan:
            allowed = [
                title is None or not title.plans or plan in title.plans for title in self._titles
            ]
            self._of_plan[plan] = np.array(allowed, dtype=np.bool_)
        return self._of_plan[plan]
