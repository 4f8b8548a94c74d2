"""How log lines look: text for people, JSON for machines; one line per thing that matters."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

import msgspec

REPEATED_AFTER_S = 10.0
_QUIET = ("aiokafka", "faust", "mode", "aiohttp.access", "asyncio", "botocore", "fsspec")


class _JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, component: str) -> None:
        super().__init__()
        self._component = component

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": _instant(record.created),
            "level": record.levelname.lower(),
            "component": self._component,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class _TextFormatter(logging.Formatter):
    """Time, level, logger, message."""

    def format(self, record: logging.LogRecord) -> str:
        text = f"{_instant(record.created)} {record.levelname.lower():8} {record.name}: "
        text += record.getMessage()
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class Repetitions(logging.Filter):
    """Lets each line of code in a library speak once in REPEATED_AFTER_S, and tells how often more.

    While the broker is away its clients would write a hundred lines a second.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now_s = now_s
        self._spoke: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written; its message gets the count of those that were not."""
        if record.name.partition(".")[0] not in _QUIET:
            return True
        place = (record.pathname, record.lineno)
        spoke_at_s, silent_count = self._spoke.get(place, (0.0, 0))
        now_s = self._now_s()
        if spoke_at_s and now_s - spoke_at_s < REPEATED_AFTER_S:
            self._spoke[place] = (spoke_at_s, silent_count + 1)
            return False
        self._spoke[place] = (now_s, 0)
        if silent_count:
            record.msg = f"{record.getMessage()} (and {silent_count} more of these)"
            record.args = None
        return True


def _instant(created_s: float) -> str:
    return datetime.fromtimestamp(created_s, UTC).isoformat(timespec="milliseconds")


def configure_logging(component: str, form: Literal["text", "json"], level: str) -> None:
    """Send every log line of this process to stderr; libraries speak from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter(component) if form == "json" else _TextFormatter())
    handler.addFilter(Repetitions())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
