"""A number for what an event says, whatever its id and stamp: tells a re-send from a conflict.

Each field that says something adds its share, so that a field which a later version knows changes
nothing for the events without it.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from agents.analytics.native import Column, Numbers, Texts, Words

Hashes = npt.NDArray[np.uint64]

_MIX_1: Final = np.uint64(0xBF58_476D_1CE4_E5B9)  # SplitMix64
_MIX_2: Final = np.uint64(0x94D0_49BB_1331_11EB)


class PayloadHash:
    """Gathers the columns of so many events into `values`."""

    def __init__(self, count: int) -> None:
        self.values: Hashes = np.zeros(count, np.uint64)

    def add(self, name: str, column: Column) -> None:
        """Take a column into account; empty texts and nulls say nothing."""
        salt = _salt(name)
        if isinstance(column, Words):
            shares = _text_shares(salt, column.words)[column.codes]
        elif isinstance(column, Texts):
            shares = _text_shares(salt, column.texts)
        else:
            assert isinstance(column, Numbers)
            shares = _mixed(_bits(column.values) ^ np.uint64(salt))
            if column.nulls is not None:
                shares[column.nulls != 0] = 0
            elif column.type_name == "Bool":
                shares[column.values == 0] = 0
        self.values ^= shares


def _text_shares(salt: int, texts: Any) -> Hashes:
    numbers = [_hash_of(text) if text else 0 for text in texts]
    shares = _mixed(np.array(numbers, np.uint64) ^ np.uint64(salt))
    shares[[not text for text in texts]] = 0
    return shares


def _bits(values: npt.NDArray[Any]) -> Hashes:
    if values.dtype.kind == "f":
        return values.astype(np.float64).view(np.uint64)
    return values.astype(np.uint64)


def _mixed(numbers: Hashes) -> Hashes:
    numbers = (numbers ^ (numbers >> np.uint64(30))) * _MIX_1
    numbers = (numbers ^ (numbers >> np.uint64(27))) * _MIX_2
    return numbers ^ (numbers >> np.uint64(31))


@lru_cache(maxsize=256)
def _salt(name: str) -> int:
    return _hash_of(name)


def _hash_of(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")
