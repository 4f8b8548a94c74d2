"""What events say beside who and when, as columns of the table's types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from agents.analytics.native import Codes, Column, Numbers, Texts, words_of

Flags = npt.NDArray[np.bool_]

_WORDS: Final = frozenset(("cdn", "object_type", "reason"))
_TEXTS: Final = frozenset(("url", "code", "message", "name", "value"))
_FLAGS: Final = frozenset(("is_starved", "is_fatal"))
_WIDTHS: Final[Mapping[str, str]] = {
    "bitrate_kbps": "UInt32",
    "from_bitrate_kbps": "UInt32",
    "top_bitrate_kbps": "UInt32",
    "measured_throughput_kbps": "UInt32",
    "height": "UInt16",
    "status": "UInt16",
    "playback_rate": "Float32",
}
"""Of numbers that are no UInt64."""
_NUMPY: Final[Mapping[str, str]] = {
    "UInt64": "<u8",
    "UInt32": "<u4",
    "UInt16": "<u2",
    "Float32": "<f4",
    "Bool": "u1",
}


def body_column(name: str, values: Sequence[Any]) -> tuple[Column | None, Flags]:
    """The column, None where no row says anything, and which rows do."""
    if name in _WORDS:
        words = words_of(values)
        is_said = np.array([bool(word) for word in words.words])[words.codes]
        return (words if is_said.any() else None), is_said
    if name in _TEXTS:
        if not any(values):
            return None, np.zeros(len(values), np.bool_)
        return Texts([text or "" for text in values]), np.array([bool(text) for text in values])
    absent_count = values.count(None)
    if absent_count == len(values):
        return None, np.zeros(len(values), np.bool_)
    return _numbers(name, values, has_absent=absent_count > 0)


def _numbers(name: str, values: Sequence[Any], *, has_absent: bool) -> tuple[Column, Flags]:
    type_name = "Bool" if name in _FLAGS else _WIDTHS.get(name, "UInt64")
    # As float64, None is NaN; every number of the schema is exact in it.
    numbers = np.array(values, np.float64)
    is_said = ~np.isnan(numbers) if has_absent else np.ones(len(values), np.bool_)
    if has_absent:
        numbers[~is_said] = 0
    with np.errstate(over="ignore"):
        stored = numbers.astype(_NUMPY[type_name])
    if name == "is_starved":  # its column has no null: not said is not so
        return Numbers(type_name, stored), is_said
    return Numbers(f"Nullable({type_name})", stored, (~is_said).astype(np.uint8)), is_said


def of_codes(flags: Sequence[bool], codes: Codes) -> Flags:
    """The flag of each row's code."""
    return np.array(flags, np.bool_)[codes]
