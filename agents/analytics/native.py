"""ClickHouse's Native format: a block of whole columns, which the engine takes without parsing.

Columns are numpy arrays and codes into small dictionaries, so that what a chunk's rows share (the
session, the player's facts) costs a few nanoseconds a row, here and there.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

H = TypeVar("H", bound=Hashable)
V = TypeVar("V")

Positions = npt.NDArray[np.intp]

_DICTIONARY_VERSION: Final = (1).to_bytes(8, "little")
_OWN_KEYS_OF_32_BIT_CODES: Final = (1 << 9 | 2).to_bytes(8, "little")
_ONE_BYTE_MAX: Final = 0x7F


class Column(Protocol):
    """The values of one column, in the order of the rows."""

    @property
    def type_name(self) -> str:
        """ClickHouse's name of the type that is sent; the engine casts it to the table's."""

    def __len__(self) -> int:
        """How many rows."""

    def take(self, positions: Positions) -> Column:
        """The values of these rows."""

    def pieces(self) -> Iterable[bytes]:
        """The bytes of the column."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Values of one width: numbers, instants, UUIDs as two halves; `nulls`: 1 where is none."""

    type_name: str
    values: npt.NDArray[Any]
    nulls: npt.NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        """How many rows."""
        return len(self.values)

    def take(self, positions: Positions) -> Numbers:
        """The values of these rows."""
        nulls = None if self.nulls is None else self.nulls[positions]
        return Numbers(self.type_name, self.values[positions], nulls)

    def pieces(self) -> Iterable[bytes]:
        """The map of nulls, where there may be any, and the values."""
        if self.nulls is not None:
            yield self.nulls.tobytes()
        yield self.values.tobytes()


@dataclass(frozen=True, slots=True)
class Words:
    """Strings of which few are distinct: `words[codes[i]]` is the i-th."""

    words: Sequence[str]
    codes: npt.NDArray[np.uint32]
    type_name: str = "LowCardinality(String)"

    def __len__(self) -> int:
        """How many rows."""
        return len(self.codes)

    def take(self, positions: Positions) -> Words:
        """The values of these rows."""
        return Words(self.words, self.codes[positions])

    def pieces(self) -> Iterable[bytes]:
        """A dictionary and the codes into it."""
        yield _DICTIONARY_VERSION + _OWN_KEYS_OF_32_BIT_CODES
        yield len(self.words).to_bytes(8, "little")
        yield from _strings(self.words)
        yield len(self.codes).to_bytes(8, "little")
        yield self.codes.tobytes()


@dataclass(frozen=True, slots=True)
class Texts:
    """Strings of which most are distinct."""

    texts: Sequence[str]
    type_name: str = "String"

    def __len__(self) -> int:
        """How many rows."""
        return len(self.texts)

    def take(self, positions: Positions) -> Texts:
        """The values of these rows."""
        texts = self.texts
        return Texts([texts[position] for position in positions.tolist()])

    def pieces(self) -> Iterable[bytes]:
        """Each with its length."""
        return _strings(self.texts)


class Codes(dict[H, int], Generic[H, V]):
    """Numbers distinct values in the order of their first appearance; `known`: what each is."""

    def __init__(self, read: Callable[[H], V]) -> None:
        super().__init__()
        self._read = read
        self.known: list[V] = []

    def __missing__(self, value: H) -> int:
        """A new one; raises what `read` raises, and does not number it then."""
        self.known.append(self._read(value))
        code = self[value] = len(self)
        return code

    def of(self, values: Sequence[H]) -> npt.NDArray[np.uint32]:
        """The code of each value."""
        return np.fromiter(map(self.__getitem__, values), np.uint32, len(values))


def words_of(values: Sequence[str]) -> Words:
    """The strings, each distinct one once, in the order of their first appearance."""
    codes: Codes[str, str] = Codes(str)
    return Words(codes.known, codes.of(values))


def block_bytes(columns: Mapping[str, Column], row_count: int) -> bytes:
    """One block, as an HTTP client sends it."""
    pieces = [_length(len(columns)), _length(row_count)]
    for name, column in columns.items():
        assert len(column) == row_count, name
        pieces.append(_string(name.encode()))
        pieces.append(_string(column.type_name.encode()))
        pieces.extend(column.pieces())
    return b"".join(pieces)


def _strings(texts: Sequence[str]) -> Iterable[bytes]:
    joined = "".join(texts)
    if joined.isascii() and len({len(text) for text in texts}) == 1:
        # All of one length: its byte between them.
        size = len(texts[0])
        if 0 < size <= _ONE_BYTE_MAX:
            between = chr(size)
            return ((between + between.join(texts)).encode(),)
    encoded = [text.encode() for text in texts]
    return (b"".join([piece for text in encoded for piece in (_length(len(text)), text)]),)


def _string(text: bytes) -> bytes:
    return _length(len(text)) + text


@lru_cache(maxsize=8192)
def _length(number: int) -> bytes:
    """LEB128."""
    if number <= _ONE_BYTE_MAX:
        return bytes((number,))
    found = bytearray()
    while number > _ONE_BYTE_MAX:
        found.append(number & _ONE_BYTE_MAX | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
