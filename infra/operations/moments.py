"""Points in time as operators write them: an instant, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

import click

_AGO: Final = re.compile(r"(\d{1,6})([smhd])")
_UNIT_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def parse_moment(text: str, now_ms: int) -> int:
    """Unix ms of `30m` (ago), `2026-11-22`, or `2026-11-22T16:30:00Z`; no zone means UTC.

    Raises click.BadParameter.
    """
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return now_ms - int(ago[1]) * _UNIT_MS[ago[2]]
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is no time: 90s, 30m, 2h, 7d (ago), or 2026-11-22T16:30:00Z"
        ) from error
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return round(instant.timestamp() * 1000)


def instant(at_ms: int) -> str:
    """The moment as ISO 8601 to the second, UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def span(length_ms: int) -> str:
    """A length of time in the two units that matter: `2 d 3 h`, `41 s`."""
    seconds = max(0, length_ms) // 1000
    days, hours, minutes = seconds // 86_400, seconds // 3_600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"


def size(count_bytes: int) -> str:
    """Bytes in the decimal unit that keeps three digits."""
    value = float(count_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
