"""Where a request ends, told by its head alone: one answer, or none where there could be two."""

from __future__ import annotations

from typing import Final

import msgspec

_ODD: Final = frozenset({b"transfer-encoding", b"expect", b"upgrade"})
"""Whatever changes how long a request is, or what follows it."""
_TOLD: Final = frozenset({b"content-length", b"connection", b"content-encoding", b"priority"})
LENGTH_DIGITS_MAX: Final = 12


class Frame(msgspec.Struct, frozen=True):
    """A request as its head tells of it; the next one with the same head is framed alike."""

    head: bytes
    """With the empty line."""
    length_bytes: int
    """Of the body."""
    is_encoded: bool
    priority: str

    @property
    def total_bytes(self) -> int:
        """Of all of it."""
        return len(self.head) + self.length_bytes


def frame_of(data: bytes) -> Frame | None:
    """The request that begins with `data`; None where its head is not whole, or odd in any way."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    lines = data[:end].split(b"\r\n")
    if not lines[0].endswith(b" HTTP/1.1") or data.count(b"\n", 0, end) != len(lines) - 1:
        return None
    told = _told(lines[1:])
    if told is None:
        return None
    length = told.get(b"content-length", b"0")
    if not length.isdigit() or len(length) > LENGTH_DIGITS_MAX:
        return None
    priority = told.get(b"priority", b"").decode("latin-1")
    return Frame(data[: end + 4], int(length), b"content-encoding" in told, priority)


def _told(lines: list[bytes]) -> dict[bytes, bytes] | None:
    """The headers that matter here; None where any of them is odd."""
    told: dict[bytes, bytes] = {}
    for line in lines:
        written, colon, value = line.partition(b":")
        name = written.strip().lower()
        if name in _ODD or not colon or len(name) != len(written):
            return None
        if name in _TOLD:
            if name in told:
                return None
            told[name] = value.strip()
    keeps = told.get(b"connection", b"keep-alive").lower() == b"keep-alive"
    return told if keeps else None
