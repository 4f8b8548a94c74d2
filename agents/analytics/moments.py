"""Times as ClickHouse's tables hold them: within what a DateTime64(3) and a partition may be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final
from uuid import UUID

import numpy as np
import numpy.typing as npt

from schemas import codec
from schemas.errors import InvalidMessageError
from schemas.events import Instant
from schemas.ids import uuid7_at_ms

Milliseconds = npt.NDArray[np.int64]

CLOCK_ERROR_MS_MAX: Final = 7 * 86_400_000
"""Events are taken up to 7 days after the session's end, not a broken clock's years."""
AT_MS_MIN: Final = 1_420_070_400_000  # 2015
AT_MS_MAX: Final = 4_102_444_800_000  # 2100
NUMBER_MS_MIN: Final = 1_000_000_000_000  # 2001: a smaller number would be read as a year
UNTOLD: Final = -1
"""Stands for a session whose id does not tell when it began."""
_INSTANT: Final = "0000-00-00T00:00:00.000000Z"
_NO_FRACTION: Final = ".000000Z"
_DIGITS_TO_0: Final = str.maketrans("123456789", "0" * 9)
_EXACT_US: Final = 1 << 53
"""From here on, in the year 2255, numpy rounds before it divides, and Python does not."""
_instants: codec.Decoder[datetime] = codec.Decoder(Instant)


@lru_cache(maxsize=65_536)
def session_facts(session_id: str) -> tuple[int, int, int]:
    """Both halves of the UUID, and when it began within what a partition may be, or UNTOLD.

    Raises InvalidMessageError where it is no UUID.
    """
    try:
        session = UUID(session_id)
    except ValueError as error:
        raise InvalidMessageError("session-id", "the session id is no UUID") from error
    began_ms = UNTOLD
    if session.version == 7:
        began_ms = min(max(uuid7_at_ms(session), AT_MS_MIN), AT_MS_MAX)
    return session.int >> 64, session.int & 0xFFFF_FFFF_FFFF_FFFF, began_ms


def instants_ms(texts: Sequence[str]) -> Milliseconds:
    """Unix milliseconds of RFC 3339 instants, as `Event.at_ms` tells them; many at once.

    Raises InvalidMessageError where one of them is none.
    """
    found_us = _microseconds(texts)
    if found_us is None:  # full seconds are written without a fraction
        found_us = _microseconds([t[:-1] + _NO_FRACTION if len(t) == 20 else t for t in texts])
    if found_us is not None and found_us.min() >= 0 and found_us.max() < _EXACT_US:
        moments_s = found_us / 1_000_000
    else:
        moments_s = np.array([_instants.decode(codec.encode(t)).timestamp() for t in texts])
    return np.rint(moments_s * 1000).astype(np.int64)


def _microseconds(texts: Sequence[str]) -> npt.NDArray[np.int64] | None:
    """None where one is written in another way, or is none."""
    joined = "".join(texts)
    if joined.translate(_DIGITS_TO_0) != _INSTANT * len(texts) or set(map(len, texts)) != {27}:
        return None
    try:  # numpy knows no Z
        found_us = np.frombuffer(joined.encode(), "S27").astype("S26").astype("M8[us]")
    except ValueError:
        return None
    return found_us.astype(np.int64)


def right_at_ms(at_ms: Milliseconds, began_ms: Milliseconds) -> Milliseconds:
    """Times that make no partitions of their own.

    They follow from the events alone: a re-send that comes later must fall into the same place.
    """
    told = np.where(np.abs(at_ms - began_ms) <= CLOCK_ERROR_MS_MAX, at_ms, began_ms)
    return np.where(began_ms == UNTOLD, np.clip(at_ms, AT_MS_MIN, AT_MS_MAX), told)


def storable_ms(at_ms: Milliseconds) -> Milliseconds:
    """Within what `seconds` gives."""
    return np.clip(at_ms, NUMBER_MS_MIN, AT_MS_MAX)


def seconds(at_ms: int) -> float:
    """Unix milliseconds as ClickHouse reads a DateTime64(3): ten digits, a point, a fraction."""
    return min(max(at_ms, NUMBER_MS_MIN), AT_MS_MAX) / 1000
