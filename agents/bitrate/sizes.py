"""What the segments ahead will weigh: the catalog knows it to the byte."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import numpy as np
import numpy.typing as npt

from agents.bitrate.ladder import Ladder
from schemas.catalog import Title

Floats = npt.NDArray[np.float64]

TITLES_MAX: Final = 512
"""A film of two hours and six rungs takes 86 kB."""


class SegmentSizes:
    """Of the titles that play now; the longest unused are forgotten."""

    def __init__(self, titles_max: int = TITLES_MAX) -> None:
        self._titles_max = titles_max
        self._known: OrderedDict[tuple[str, int, tuple[str, ...]], Floats] = OrderedDict()

    def of(self, title: Title, ladder: Ladder) -> Floats:
        """Segments × rungs, bytes of picture and sound together."""
        rungs = tuple(rung.rendition_id for rung in ladder.rungs)
        key = (title.content_id, title.version, rungs)
        sizes = self._known.get(key)
        if sizes is None:
            sizes = self._known[key] = segment_sizes(title, ladder)
            if len(self._known) > self._titles_max:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return sizes

    def __len__(self) -> int:
        return len(self._known)


def segment_sizes(title: Title, ladder: Ladder) -> Floats:
    """Segments × rungs, bytes; where the catalog does not know a size, the rung's mean."""
    by_id = {rendition.rendition_id: rendition for rendition in title.video}
    count = max(1, len(title.video[0].segments.durations))
    sizes = np.empty((count, len(ladder.rungs)))
    for column, rung in enumerate(ladder.rungs):
        rendition = by_id[rung.rendition_id]
        sound_kbps = rung.average_kbps - rendition.average_bitrate_kbps
        known = rendition.segments.sizes_bytes[:count]
        mean_bytes = rendition.average_bitrate_kbps * ladder.segment_ms / 8
        sizes[:, column] = mean_bytes
        sizes[: len(known), column] = known
        sizes[:, column] += sound_kbps * ladder.segment_ms / 8
    return np.maximum(sizes, 1.0)
