"""Where a request ends, told by its head alone: one answer, or none where there could be two."""

from __future__ import annotations

import re
from typing import Final

import msgspec

_ODD: Final = frozenset({b"transfer-encoding", b"expect", b"upgrade"})
"""Whatever changes how long a request is, or what follows it."""
_TOLD: Final = frozenset({b"content-length", b"connection", b"content-encoding", b"priority"})
LENGTH_DIGITS_MAX: Final = 12
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length:[ \t]*+(\d++)[ \t]*+\r\n")
_DIGITS: Final = re.compile(rb"\d{1,%d}+(?!\d)" % LENGTH_DIGITS_MAX)


class Frame(msgspec.Struct, frozen=True):
    """A request as its head tells of it; the next one with the same head is framed alike."""

    head: bytes
    """With the empty line."""
    length_bytes: int
    """Of the body."""
    is_encoded: bool
    priority: str
    around_length: tuple[bytes, bytes] | None
    """The head before and after the digits of Content-Length; None where it has none."""

    @property
    def total_bytes(self) -> int:
        """Of all of it."""
        return len(self.head) + self.length_bytes

    def again(self, data: bytes) -> Frame | None:
        """The frame of a request whose head differs from this one in its length at most."""
        if data.startswith(self.head):
            return self
        if self.around_length is None or not data.startswith(self.around_length[0]):
            return None
        before, after = self.around_length
        digits = _DIGITS.match(data, len(before))
        if digits is None or not data.startswith(after, digits.end()):
            return None
        head = data[: digits.end() + len(after)]
        return Frame(head, int(digits[0]), self.is_encoded, self.priority, self.around_length)


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
    head, is_encoded = data[: end + 4], b"content-encoding" in told
    priority = told.get(b"priority", b"").decode("latin-1")
    return Frame(head, int(length), is_encoded, priority, _around_length(head))


def _around_length(head: bytes) -> tuple[bytes, bytes] | None:
    found = _LENGTH.search(head)
    return None if found is None else (head[: found.start(1)], head[found.end(1) :])


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
