"""Errors in ClickHouse's own terms: a number, a name, a text, and the HTTP status that goes with
them.
"""

from __future__ import annotations

import errno
import re
from typing import Final

_CODE: Final = re.compile(r"Code: (\d+)\.")
_NO_SPACE: Final = re.compile(r"errno: 28\b|No space left on device", re.IGNORECASE)
_STATUS_BY_CODE: Final[dict[int, int]] = {
    **dict.fromkeys((6, 26, 27, 33, 36, 38, 41, 43, 44, 53, 55, 62, 69, 70, 72, 117, 130), 400),
    **dict.fromkeys((167, 168, 336, 354, 374, 377, 456, 457, 636), 400),
    **dict.fromkeys((46, 47, 50, 60, 63, 71, 73, 81, 115, 372), 404),
    **dict.fromkeys((164, 192, 193, 195, 497, 516), 403),
    **dict.fromkeys((76, 202, 209, 439), 503),
    **dict.fromkeys((159, 160), 408),
    48: 501,
    194: 401,
    216: 409,
    223: 413,
    243: 507,
    381: 411,
    396: 413,
}


class EngineError(Exception):
    """A failure that the client is told of, worded and numbered as ClickHouse does it."""

    def __init__(self, code: int, message: str, name: str) -> None:
        text = message if message.startswith("Code: ") else _worded(code, message, name)
        super().__init__(text)
        self.code = code
        self.text = text

    @property
    def http_status(self) -> int:
        """The status that ClickHouse answers for this code; 500 for those that it does not map."""
        return _STATUS_BY_CODE.get(self.code, 500)


def bad_request(message: str) -> EngineError:
    """Arguments that cannot be what was meant."""
    return EngineError(36, message, "BAD_ARGUMENTS")


def corrupt_body(message: str) -> EngineError:
    """A body that cannot be unpacked to its end."""
    return EngineError(354, message, "CANNOT_DECOMPRESS")


def disk_full(message: str) -> EngineError:
    """No room for what was asked to be stored."""
    return EngineError(243, message, "NOT_ENOUGH_SPACE")


def not_allowed(message: str) -> EngineError:
    """A statement that is refused to everyone."""
    return EngineError(497, message, "ACCESS_DENIED")


def not_implemented(message: str) -> EngineError:
    """A part of the interface that the embedded engine lacks."""
    return EngineError(48, message, "NOT_IMPLEMENTED")


def read_only(user: str) -> EngineError:
    """A statement that is refused to this user or method."""
    return EngineError(164, f"{user}: Cannot execute query in readonly mode", "READONLY")


def syntax_error(message: str) -> EngineError:
    """A text that is no statement."""
    return EngineError(62, message, "SYNTAX_ERROR")


def timed_out(message: str) -> EngineError:
    """A deadline that passed."""
    return EngineError(159, message, "TIMEOUT_EXCEEDED")


def too_large(message: str) -> EngineError:
    """A limit of size that was passed."""
    return EngineError(223, message, "QUERY_IS_TOO_LARGE")


def too_many(message: str) -> EngineError:
    """A limit of number that was passed: try again later."""
    return EngineError(202, message, "TOO_MANY_SIMULTANEOUS_QUERIES")


def from_failure(failure: Exception, version: str) -> EngineError:
    """The EngineError of anything that a request can raise.

    The engine raises plain RuntimeErrors whose text carries the code; a full disk reaches us under
    several codes, and is told to the client under one, 243, since what to do about it is the same.
    """
    if isinstance(failure, EngineError):
        return failure
    if isinstance(failure, OSError) and failure.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full("No space left on the device that holds the data")
    text = str(failure)
    match = _CODE.search(text)
    if match is None:
        return EngineError(1001, f"{type(failure).__name__}: {text}", "STD_EXCEPTION")
    if _NO_SPACE.search(text):
        return disk_full(text[match.end() :].strip())
    text = text[match.start() :].rstrip()
    # What happens while a file is read is wrapped once more.
    twice = f"{match[0]} DB::Exception: "
    text = text.removeprefix(twice) if text.startswith(twice * 2) else text
    if " (version " not in text:
        text = f"{text} (version {version})"
    return EngineError(int(match.group(1)), text, "")


def _worded(code: int, message: str, name: str) -> str:
    return f"Code: {code}. DB::Exception: {message}. ({name})"
