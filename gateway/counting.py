"""The first line of an NDJSON body that says how many lines follow: `{"count": 100}`.

A body that a proxy or a dying client cut between two lines looks whole. Where the client says how
many it sent, what is missing is noticed before anything is stored.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.problems import ProblemError

_COUNT_LINE: Final = re.compile(rb'\s*+\{\s*+"count"\s*+:([^{},:\n]*+)\}[ \t\r]*+(?:\n|\Z)')
"""An object of this one member is no event, whatever its value."""
_DIGITS: Final = re.compile(rb"\s*+(\d{1,9})\s*+")


def split_count(body: bytes) -> tuple[int | None, bytes]:
    """How many lines the first one announces, and the rest; None and all of it where it does not.

    Raises ProblemError 400 for a count that is no whole number.
    """
    line = _COUNT_LINE.match(body)
    if line is None:
        return None, body
    digits = _DIGITS.fullmatch(line[1])
    if digits is None:
        raise ProblemError(400, "count", "the count is no whole number")
    return int(digits[1]), body[line.end() :]


def require_count(announced: int | None, found: int) -> None:
    """ProblemError 400 where another number was announced than came; blank lines do not count."""
    if announced is not None and announced != found:
        raise ProblemError(400, "count", f"{announced} lines were announced, {found} came")
