"""What others watched next at moments like this one: votes of windows that share titles with it.

Two ways of being alike. Along a list, order matters: a moment counts by the titles it shares with
the last ones here, the near ones more, and it votes for what stands near it. Within a session,
order says little (V-SKNN, Ludewig and Jannach 2018): a moment counts by its shared titles, rare
ones more, and votes for all it holds.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from agents.recommendation.numbers import Floats, Ints
from agents.recommendation.windows import REACH, Cells, Windows

LIST_LAGS: Final = 6
"""Of the viewer's last titles, those whose plays are looked up as moments of a list."""
LIST_LAG_DECAY: Final = 0.6
LIST_TITLES: Final = 20
"""Of the viewer's last titles, those that make a moment alike."""
SHARED_DECAY: Final = 0.85
"""By the shared title's place in the viewer's history."""
SHARED_DISTANCE_DECAY: Final = 0.9
"""By its distance in the other's."""
VOTE_DECAY: Final = 0.7
"""By the distance of what is voted for."""
SESSION_TITLES: Final = 12
SESSION_NEIGHBORS: Final = 100

_SHARED: Final = (SHARED_DECAY ** np.arange(LIST_TITLES)).astype(np.float32)
_DISTANCES: Final = np.tile(SHARED_DISTANCE_DECAY ** np.arange(REACH), 2).astype(np.float32)
_VOTES: Final = (VOTE_DECAY ** np.arange(REACH)).astype(np.float32)
_BITS: Final = (np.arange(1 << SESSION_TITLES)[:, None] >> np.arange(SESSION_TITLES) & 1).astype(
    np.float64
)
"""By mask of shared places: which are in it."""
_NEWEST: Final = np.where(_BITS.any(axis=1), _BITS.argmax(axis=1), -1)
"""By the same: the newest of them."""


class Votes(NamedTuple):
    """(titles,) each; the first three sum to 1, the last has 1 as its maximum, or all are 0."""

    strict: Floats
    """What came next; moments count by the fourth power of what they share before and after."""
    ahead: Floats
    """What came next; by the square of that."""
    behind: Floats
    """What came before; by the square."""
    session: Floats


class Neighbors:
    """Looks for moments alike."""

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._shared = np.zeros(64, dtype=np.float32)
        self._masks = np.zeros(64, dtype=np.int16)
        """By title: the bit of its place in the viewer's history."""

    def vote(self, history: Ints, who: str, shares: Floats) -> Votes:
        """The votes for a viewer with this history, newest first; `shares` are the titles'."""
        self._reach(len(shares))
        recent = history[:SESSION_TITLES]
        plays, lags = self._windows.plays_of(recent, who)
        if not len(plays):
            empty = np.zeros(len(shares), dtype=np.float32)
            return Votes(empty, empty, empty, empty)
        windows = self._windows.around(plays)
        is_listed = lags < LIST_LAGS
        strict, ahead, behind = self._list(
            history[:LIST_TITLES], windows[is_listed], lags[is_listed], len(shares)
        )
        return Votes(strict, ahead, behind, self._session(recent, windows, lags, shares))

    def _list(
        self, history: Ints, windows: Cells, lags: Ints, size: int
    ) -> tuple[Floats, Floats, Floats]:
        weights = _SHARED[: len(history)]
        self._shared[history[::-1]] = weights[::-1]  # Where a title repeats, the newest counts.
        self._shared[0] = 0.0
        shared = self._shared[windows]
        both = shared @ _DISTANCES + self._shared[history[lags]]
        self._shared[history] = 0.0
        by_lag = (np.float32(LIST_LAG_DECAY) ** lags).astype(np.float32)
        return (
            _counted(windows[:, REACH:], by_lag * (both * both) ** 2, size),
            _counted(windows[:, REACH:], by_lag * both * both, size),
            _counted(windows[:, :REACH], by_lag * both * both, size),
        )

    def _session(self, recent: Ints, windows: Cells, lags: Ints, shares: Floats) -> Floats:
        places = np.arange(len(recent))
        self._masks[recent[::-1]] = (1 << places[::-1]).astype(np.int16)
        self._masks[0] = 0
        own = self._masks[recent[lags]]
        shared = _any_bits(self._masks[windows]) | own
        self._masks[recent] = 0
        # A session is met at each title it shares: it counts at its last play of the newest.
        is_last = (windows[:, REACH:] != recent[lags][:, None]).all(axis=1)
        met = np.flatnonzero((_NEWEST[shared] == lags) & is_last)
        weights = (1.0 - places / len(recent)) * np.log1p(1.0 / shares[recent])
        likeness = (_BITS[:, : len(recent)] @ weights)[shared[met]]
        # The last plays come last, so that of equals the newest stay.
        met = met[np.argsort(likeness, kind="stable")[-SESSION_NEIGHBORS:]]
        likeness = np.sort(likeness)[-SESSION_NEIGHBORS:]
        weight = likeness * np.maximum(0.1, 1.0 - 0.1 * np.minimum(9, lags[met]))
        held = np.sort(np.column_stack((windows[met], recent[lags[met]])), axis=1)
        held[:, 1:][held[:, 1:] == held[:, :-1]] = 0  # Each title once by session.
        votes = np.bincount(held.ravel(), np.repeat(weight, held.shape[1]), minlength=len(shares))
        votes[0] = 0.0
        return (votes / max(float(votes.max()), 1e-9)).astype(np.float32)

    def _reach(self, size: int) -> None:
        if size > len(self._shared):
            more = max(size, 2 * len(self._shared))
            self._shared = np.zeros(more, dtype=np.float32)
            self._masks = np.zeros(more, dtype=np.int16)


def _counted(windows: Cells, weights: Floats, size: int) -> Floats:
    """(size,): the share of the votes that each title of the windows gets."""
    votes = np.bincount(windows.ravel(), np.outer(weights, _VOTES).ravel(), minlength=size)
    votes[0] = 0.0
    return (votes / max(float(votes.sum()), 1e-9)).astype(np.float32)


def _any_bits(masks: npt.NDArray[np.int16]) -> npt.NDArray[np.int64]:
    """(windows,): the bits that are set in any mask of a row, four masks at a time."""
    fours = masks.view(np.int64)
    bits = fours[:, 0].copy()
    for column in range(1, fours.shape[1]):
        bits |= fours[:, column]
    bits |= bits >> 32
    bits |= bits >> 16
    return bits & ((1 << SESSION_TITLES) - 1)
