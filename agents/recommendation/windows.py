"""The last plays of everybody, each with the ten titles before and after it in its own sequence.

A ring of fixed size: the oldest plays are overwritten. For each title the ring knows its latest
plays, so that the moments like a viewer's own are found without looking through all. Whose play it
was is not kept, but for the last few plays of those who watched lately, where what comes next is
still to be written down.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import numpy as np
import numpy.typing as npt

from agents.recommendation.numbers import Ints

REACH: Final = 10
"""Titles kept before a play, and after it."""
PLAYS_MAX: Final = 1 << 20
"""Plays in the ring: 80 bytes each."""
OCCURRENCES_MAX: Final = 128
"""Latest plays known by title."""
OCCURRENCE_CELLS_MAX: Final = 1 << 23
"""Of all titles together (67 MB): with more than 65,536 titles there are fewer of each."""
VIEWERS_MAX: Final = 100_000
"""Viewers whose next play is linked to their last; the longest silent are cut off first."""

Cells = npt.NDArray[np.int32]

_AHEAD: Final = np.arange(REACH, 2 * REACH)


class Windows:
    """The ring. 0 in a window: nothing was watched there."""

    def __init__(self, plays_max: int = PLAYS_MAX) -> None:
        self._plays_max = plays_max
        self._cells: Cells = np.zeros((plays_max, 2 * REACH), dtype=np.int32)
        self._played: Cells = np.zeros(plays_max, dtype=np.int32)
        self._next = 0
        """The number of the next play; its place in the ring is the remainder."""
        self._latest: Ints = np.full((64, OCCURRENCES_MAX), -1, dtype=np.int64)
        """By title: the numbers of its latest plays, a ring; -1 where there were none."""
        self._counts = np.zeros(64, dtype=np.int64)
        self._tails: OrderedDict[str, list[int]] = OrderedDict()

    def add(self, who: str, history: Ints, title: int) -> None:
        """One play by someone with this history, newest first."""
        self._reach(title)
        tail = self._tails.pop(who, [])
        if tail:
            # Each of the viewer's last plays learns what came after it.
            held = tail if self._holds(tail[-1]) else [play for play in tail if self._holds(play)]
            self._cells[np.array(held, dtype=np.int64) % self._plays_max, _AHEAD[: len(held)]] = (
                title
            )
        place = self._next % self._plays_max
        before = history[:REACH]
        self._cells[place] = 0
        self._cells[place, : len(before)] = before
        self._played[place] = title
        self._latest[title, self._counts[title] % self._latest.shape[1]] = self._next
        self._counts[title] += 1
        self._tails[who] = [self._next, *tail[: REACH - 1]]
        if len(self._tails) > VIEWERS_MAX:
            self._tails.popitem(last=False)
        self._next += 1

    def last_title(self, who: str) -> int:
        """What the viewer watched last, or 0."""
        tail = self._tails.get(who)
        if not tail or not self._holds(tail[0]):
            return 0
        return int(self._played[tail[0] % self._plays_max])

    def forget(self, who: str) -> None:
        """Cut the viewer off from what it watched."""
        self._tails.pop(who, None)

    def plays_of(self, titles: Ints, who: str) -> tuple[Ints, Ints]:
        """Places of the latest plays of these titles by others, and the place of each among them.

        A play that was overwritten is left out. The oldest come first.
        """
        titles = np.where(titles < len(self._counts), titles, 0)
        plays = self._latest[titles]
        lags = np.broadcast_to(np.arange(len(titles))[:, None], plays.shape)
        is_held = plays >= max(0, self._next - self._plays_max)
        for play in self._tails.get(who, ()):
            is_held &= plays != play
        found, found_lags = plays[is_held], lags[is_held]
        oldest_first = np.argsort(found)
        return found[oldest_first] % self._plays_max, found_lags[oldest_first]

    def around(self, places: Ints) -> Cells:
        """(places, 2 REACH): the titles before, nearest first, then those after."""
        return self._cells[places]

    def _holds(self, play: int) -> bool:
        return play >= self._next - self._plays_max

    def _reach(self, title: int) -> None:
        """Make room for the title; with very many, fewer plays are known of each."""
        size = len(self._counts)
        if title < size:
            return
        self._counts = np.pad(self._counts, (0, size))
        width = min(self._latest.shape[1], OCCURRENCE_CELLS_MAX // (2 * size))
        grown = np.full((2 * size, width), -1, dtype=np.int64)
        if width == self._latest.shape[1]:
            grown[:size] = self._latest
        else:
            newest = (self._counts[:size, None] - 1 - np.arange(width)) % self._latest.shape[1]
            kept = np.take_along_axis(self._latest, newest, axis=1)
            grown[:size] = kept[:, ::-1]
            self._counts[:size] = np.minimum(self._counts[:size], width)
        self._latest = grown
