"""Recorded events from a NumPy archive: who watched which title when, in order."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Events(msgspec.Struct, frozen=True, kw_only=True):
    """Equally long columns, sorted by (time, viewer, place in the viewer's own order)."""

    viewers: list[str]
    titles: Ints
    """Numbers from 0; `title_ids` has their names."""
    at_s: Ints
    place: Ints
    """How many events of the same viewer came before."""
    total: Ints
    """How many events the viewer has altogether."""
    title_ids: list[str]
    is_repeating: bool
    """Whether any viewer meets a title twice."""

    def __len__(self) -> int:
        """How many events."""
        return len(self.titles)


def load_events(path: Path) -> Events:
    """Read `user`, `item`, `t` and, where it is there, `pos`. Raises OSError and KeyError."""
    with np.load(path) as archive:
        user = archive["user"].astype(np.int64)
        item = archive["item"].astype(np.int64)
        at_s = archive["t"].astype(np.int64)
        if "pos" in archive.files:
            order = np.lexsort((archive["pos"], user, at_s))
        else:
            order = np.argsort(at_s, kind="stable")
    user, item, at_s = user[order], item[order], at_s[order]
    ids, titles = np.unique(item, return_inverse=True)
    _, owner, counts = np.unique(user, return_inverse=True, return_counts=True)
    by_viewer = np.argsort(owner, kind="stable")
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    place = np.empty(len(user), dtype=np.int64)
    place[by_viewer] = np.arange(len(user)) - np.repeat(starts, counts)
    return Events(
        viewers=[str(number) for number in user.tolist()],
        titles=titles.astype(np.int64),
        at_s=at_s,
        place=place,
        total=counts[owner].astype(np.int64),
        title_ids=[str(number) for number in ids.tolist()],
        is_repeating=len(np.unique(owner * len(ids) + titles)) < len(user),
    )
