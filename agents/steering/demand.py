"""How many watch in each cohort and what they would take: bounded, of the last half minute."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping
from typing import Final

import msgspec

from agents.steering.plan import CohortDemand
from agents.steering.policy import Bucket
from schemas.steering import cohort_of

SESSIONS_MAX: Final = 200_000
COHORTS_MAX: Final = 200
"""Planned by themselves, the largest; the others together, by region (`region/0`)."""
COHORT_SESSIONS_MIN: Final = 20
WATCHED_MS: Final = 30_000
"""A player that fetched nothing for so long watches no more, or is paused."""
SMOOTHED: Final = 0.3
LATE_RATIO_MAX: Final = 0.2
"""Above it players take less than they want."""


class Watcher(msgspec.Struct, frozen=True, kw_only=True):
    """Where a session is, and when it fetched last."""

    region: str
    asn: int
    cdn: str
    seen_at_ms: int


class Watchers:
    """Sessions that fetch."""

    def __init__(self) -> None:
        self._watchers: OrderedDict[str, Watcher] = OrderedDict()

    def see(self, session_id: str, watcher: Watcher) -> None:
        """It is there."""
        self._watchers[session_id] = watcher
        self._watchers.move_to_end(session_id)
        if len(self._watchers) > SESSIONS_MAX:
            self._watchers.popitem(last=False)

    def get(self, session_id: str) -> Watcher | None:
        """Where it was seen last."""
        return self._watchers.get(session_id)

    def count(self, now_ms: int) -> Counter[tuple[str, int]]:
        """By region and network; those that are gone are forgotten."""
        while self._watchers:
            session_id, oldest = next(iter(self._watchers.items()))
            if oldest.seen_at_ms > now_ms - WATCHED_MS:
                break
            del self._watchers[session_id]
        return Counter((each.region, each.asn) for each in self._watchers.values())


def fold_small(
    counted: Mapping[tuple[str, int], int],
) -> dict[tuple[str, int], str]:
    """The cohort of each network: its own, or its region's rest."""
    large = sorted(
        (key for key, sessions in counted.items() if sessions >= COHORT_SESSIONS_MIN),
        key=lambda key: (-counted[key], key),
    )[:COHORTS_MAX]
    own = set(large)
    return {key: cohort_of(key[0], key[1] if key in own else 0) for key in sorted(counted)}


def played_kbps(seen: Bucket) -> float | None:
    """What a session took on average: bytes over what they play."""
    size_bytes, media_ms = max(
        (seen.player_bytes, seen.player_media_ms), (seen.edge_bytes, seen.edge_media_ms)
    )
    return size_bytes * 8 / media_ms if media_ms and size_bytes else None


def wanted_kbps(last_kbps: float | None, seen: Bucket, *, is_held: bool) -> float | None:
    """What a session takes on average, smoothed.

    Who waits for answers or is under a ceiling (`is_held`) wants at least what it took before.
    """
    kbps = played_kbps(seen)
    if kbps is None or last_kbps is None:
        return last_kbps if kbps is None else kbps
    if kbps < last_kbps and (is_held or seen.late > LATE_RATIO_MAX * seen.requests):
        return last_kbps
    return max(kbps, last_kbps + SMOOTHED * (kbps - last_kbps))


def demand_of(cohort: str, region: str, sessions: int, kbps: float | None) -> CohortDemand:
    """Of so many sessions; one that nothing is known of wants a little."""
    demand_mbps = max(sessions, 1) * (kbps or 0.0) / 1000
    return CohortDemand(
        cohort=cohort, region=region, sessions=max(sessions, 1), demand_mbps=max(demand_mbps, 1e-3)
    )
