"""Byte ranges (RFC 9110, section 14), one at a time: pure."""

from __future__ import annotations


def select_range(asked: slice, size_bytes: int) -> tuple[int, int] | None:
    """First byte and the byte after the last; None where the range lies outside the object.

    `asked` is aiohttp's reading of the header: a negative start is a suffix length.
    """
    start: int | None = asked.start
    stop: int | None = asked.stop
    if start is None:
        return 0, size_bytes
    if start < 0:
        return (max(0, size_bytes + start), size_bytes) if size_bytes else None
    if start >= size_bytes:
        return None
    return start, min(size_bytes, size_bytes if stop is None else stop)
