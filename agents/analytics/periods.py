"""How long the partitions of a table gather before they insert: so many partitions, so long.

An insert is a part on disk that ClickHouse merges again, whatever it holds. The periods follow from
the registry alone, never from what a process was given: chunks stay a function of the log. Where a
table gets few inserts, nobody need wait for a period's end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from streams.clock import Clock

INSERTS_PER_S_MAX: Final = 2
"""Into one table, where PERIOD_MS_MAX allows it."""
PERIOD_MS_MAX: Final = 4_000
"""An event shall be queryable within five seconds, mostly."""
DEBT_MS_MAX: Final = PERIOD_MS_MAX
"""What a burst took is not held against a table for longer."""


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """A topic's: buckets of the broker's clock, shifted from partition to partition."""

    bucket_ms: int
    first_lane: int
    """Of the table's partitions, of whatever topic, the one that is this topic's first."""
    lane_count: int

    def phase_ms(self, partition: int) -> int:
        """By how much the partition's buckets are shifted: they shall not end all at once."""
        return (self.first_lane + partition) * self.bucket_ms // self.lane_count


class Allowance:
    """Whether a table may have an insert before a period is over: each takes half a second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._free_at_ms = 0

    def has_one(self) -> bool:
        """Whether the table gets fewer than INSERTS_PER_S_MAX."""
        return self._clock() >= self._free_at_ms

    def spend(self) -> None:
        """One more insert, early or not."""
        now_ms = self._clock()
        free_at_ms = max(now_ms, self._free_at_ms) + 1000 // INSERTS_PER_S_MAX
        self._free_at_ms = min(free_at_ms, now_ms + DEBT_MS_MAX)


def plan_periods(
    partitions: Mapping[str, int],
    tables: Mapping[str, str],
    *,
    bucket_ms_min: int,
    bucket_ms_max: int = PERIOD_MS_MAX,
) -> dict[str, Period]:
    """The period of each topic; `partitions` and `tables` are by topic."""
    lanes: dict[str, int] = {}
    firsts: dict[str, int] = {}
    for topic in sorted(partitions):
        firsts[topic] = lanes.get(tables[topic], 0)
        lanes[tables[topic]] = firsts[topic] + partitions[topic]
    periods = {}
    for topic, first in firsts.items():
        count = lanes[tables[topic]]
        needed_ms = min(bucket_ms_max, 1000 * count // INSERTS_PER_S_MAX)
        bucket_ms = max(bucket_ms_min, needed_ms)
        periods[topic] = Period(bucket_ms=bucket_ms, first_lane=first, lane_count=count)
    return periods
