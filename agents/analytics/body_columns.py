"""What events say beside who and when, gathered type by type into columns of the table's types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from agents.analytics.native import Codes, Column, Numbers, Positions, Texts, Words

_WORDS: Final = frozenset(("type", "cdn", "object_type", "reason"))
_TEXTS: Final = frozenset(("id", "extra", "url", "code", "message", "name", "value"))
_TYPES: Final[Mapping[str, tuple[str, str]]] = {
    "bitrate_kbps": ("UInt32", "<u4"),
    "from_bitrate_kbps": ("UInt32", "<u4"),
    "top_bitrate_kbps": ("UInt32", "<u4"),
    "measured_throughput_kbps": ("UInt32", "<u4"),
    "height": ("UInt16", "<u2"),
    "status": ("UInt16", "<u2"),
    "playback_rate": ("Float32", "<f4"),
    "is_starved": ("Bool", "u1"),
    "is_fatal": ("Bool", "u1"),
}
"""ClickHouse's and numpy's, of numbers that are no UInt64."""


class Gathered(Protocol):
    """A column that grows."""

    def put(self, places: Positions, cells: Sequence[Any]) -> None:
        """What the rows of these places say; a single word may stand for all of them."""

    def column(self, count: int) -> Column | None:
        """Of all rows; None where none of them says anything."""


def gathered(name: str) -> Gathered:
    """An empty column for a field."""
    if name in _WORDS:
        return _GatheredWords()
    return _GatheredTexts() if name in _TEXTS else _GatheredNumbers(name)


class _GatheredWords:
    def __init__(self) -> None:
        self._words: Codes[str, str] = Codes(str)
        self._not_said = self._words[""]
        self._parts: list[tuple[Positions, npt.NDArray[np.uint32]]] = []

    def put(self, places: Positions, cells: Sequence[str]) -> None:
        if any(cells):
            self._parts.append((places, self._words.of(cells)))

    def column(self, count: int) -> Words | None:
        if not self._parts:
            return None
        return Words(
            self._words.known, _scattered(self._parts, np.full(count, self._not_said, np.uint32))
        )


class _GatheredTexts:
    def __init__(self) -> None:
        self._parts: list[tuple[Positions, Sequence[str]]] = []

    def put(self, places: Positions, cells: Sequence[str]) -> None:
        if any(cells):
            self._parts.append((places, cells))

    def column(self, count: int) -> Texts | None:
        if not self._parts:
            return None
        texts = [""] * count
        for places, cells in self._parts:
            for place, cell in zip(places.tolist(), cells, strict=True):
                texts[place] = cell
        return Texts(texts)


class _GatheredNumbers:
    def __init__(self, name: str) -> None:
        self._type_name, self._width = _TYPES.get(name, ("UInt64", "<u8"))
        self._has_null = name != "is_starved"  # its column has none: not said is not so
        self._parts: list[tuple[Positions, npt.NDArray[Any]]] = []

    def put(self, places: Positions, cells: Sequence[float]) -> None:
        # Every number of the schema is exact as a float64.
        self._parts.append((places, np.fromiter(cells, np.float64, len(cells))))

    def column(self, count: int) -> Numbers | None:
        values = _scattered(self._parts, np.full(count, np.nan))
        is_said = ~np.isnan(values)
        if not is_said.any():
            return None
        with np.errstate(over="ignore"):
            stored = np.where(is_said, values, 0).astype(self._width)
        if not self._has_null:
            return Numbers(self._type_name, stored) if stored.any() else None
        return Numbers(f"Nullable({self._type_name})", stored, (~is_said).astype(np.uint8))


def _scattered(
    parts: Iterable[tuple[Positions, npt.NDArray[Any]]], into: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    for places, cells in parts:
        into[places] = cells
    return into
