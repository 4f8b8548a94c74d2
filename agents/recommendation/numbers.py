"""Titles by number: models keep arrays, and a title is its place in them.

Only what was watched has a number, given in the order of first watching, so that the same log
numbers the same. Number 0 stands for every title that nobody watched yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

UNWATCHED: Final = 0
"""The number of every title that nobody watched."""


class Numbers:
    """Numbers of the titles that were watched, from 1."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        """How many titles have a number; the highest number."""
        return len(self._numbers)

    def give(self, content_id: str) -> int:
        """The title's number; a new one where it has none."""
        return self._numbers.setdefault(content_id, len(self._numbers) + 1)

    def of(self, content_id: str) -> int:
        """The title's number, or 0."""
        return self._numbers.get(content_id, UNWATCHED)

    def of_all(self, content_ids: Iterable[str]) -> Ints:
        """The numbers of these, in their order; 0 where one has none."""
        get = self._numbers.get
        return np.array([get(content_id, UNWATCHED) for content_id in content_ids], dtype=np.int64)

    def of_watched(self, content_ids: Iterable[str], count_max: int) -> Ints:
        """The numbers of the first `count_max` of these, without those that have none."""
        found = map(self._numbers.get, islice(content_ids, count_max))
        return np.array(list(filter(None, found)), dtype=np.int64)


class _Look(NamedTuple):
    """What numbers the titles of a pool had."""

    titles: Ints
    """(places,)"""
    given: int
    """How many numbers there were."""


class Pool:
    """Titles by place and their numbers, looked up again only where some had none."""

    def __init__(self, content_ids: Iterable[str] = ()) -> None:
        self.ids = list(content_ids)
        self._looks: WeakKeyDictionary[Numbers, _Look] = WeakKeyDictionary()
        """A model that is rebuilt beside another numbers the same titles by itself."""

    def append(self, content_id: str) -> None:
        """One more, at the next place."""
        self.ids.append(content_id)

    def titles(self, numbers: Numbers) -> Ints:
        """By place: the title's number, or 0."""
        look = self._looks.get(numbers)
        if look is None or look.given != len(numbers) or len(look.titles) != len(self.ids):
            titles = np.zeros(len(self.ids), dtype=np.int64)
            if look is not None:
                titles[: len(look.titles)] = look.titles
            for place in np.flatnonzero(titles == UNWATCHED).tolist():
                titles[place] = numbers.of(self.ids[place])
            look = self._looks[numbers] = _Look(titles, len(numbers))
        return look.titles


class Candidates(NamedTuple):
    """Titles to rank: places of a pool, in the order that decides between equal scores."""

    pool: Pool
    places: Ints

    @classmethod
    def of(cls, content_ids: Iterable[str]) -> Candidates:
        """These, as a pool of their own."""
        pool = Pool(content_ids)
        return cls(pool, np.arange(len(pool.ids)))

    def titles(self, numbers: Numbers) -> Ints:
        """(candidates,): the title's number, or 0."""
        titles: Ints = self.pool.titles(numbers)[self.places]
        return titles

    def content_id(self, place: int) -> str:
        """The id of a place among the candidates."""
        return self.pool.ids[int(self.places[place])]
