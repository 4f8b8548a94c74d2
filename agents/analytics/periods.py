"""How long the partitions of a table gather before they insert: so many partitions, so long.

An insert is a part on disk that ClickHouse merges again, whatever it holds. The periods follow from
the registry alone, never from what a process was given: chunks stay a function of the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

INSERTS_PER_S_MAX: Final = 2
"""Into one table, where PERIOD_MS_MAX allows it."""
PERIOD_MS_MAX: Final = 4_000
"""An event shall be queryable within five seconds, mostly."""


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """A topic's: buckets of the broker's clock, shifted from partition to partition."""

    bucket_ms: int
    first_lane: int
    """Of the table's partitions, of whatever topic, the one that is this topic's first."""
    lane_count: int

    def phase_ms(self, partition: int) -> int:
        """By how much the partition's buckets are shifted: they shall not end all at once."""
        return (self.first_lane + partition) * self.bucket_ms // self.lane_count


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
