"""What a CDN carries in a region, found out by how well it does beside the others there.

A CDN whose answers come late where the others' do not is full, whatever its settings say: its
capacity is taken to be a little less than what it just carried, and grows again slowly, as TCP
finds a path's (Chiu and Jain 1989: additive or slow increase, multiplicative decrease).
"""

from __future__ import annotations

from typing import Final

import msgspec

from agents.steering.plan import Edge
from agents.steering.policy import Bucket

BAD_EXCESS_MIN: Final = 0.15
"""Of the fetches, above the region's best CDN: it is full."""
BAD_TOLERATED: Final = 0.05
REQUESTS_MIN: Final = 10
PRIOR_REQUESTS: Final = 20
PRIOR_BAD: Final = 1
"""As if so many had been seen before: three late ones of five say little."""
SMOOTHED: Final = 0.3
CUT_TO: Final = 0.8
"""Of what it carried when it was full."""
CUT_AGAIN_MS: Final = 10_000
"""Two TTLs: until then the viewers of the last cut are still there."""
GROWTH: Final = 1.03
"""A plan; doubled in two minutes."""
HELD_MS: Final = 120_000
"""So long no more is tried than it carried when it was full: what slows a CDN down lasts, and each
try costs its viewers (as CUBIC stays below where it lost: RFC 9438, section 4.1)."""
LIMIT_MBPS_MAX: Final = 1e6
"""More than this is no limit."""
SHARE_PROBED: Final = 0.02
PROBE_GROWTH: Final = 2.0


class EdgeMemory(msgspec.Struct, frozen=True, kw_only=True):
    """One CDN in one region between plans."""

    limit_mbps: float | None = None
    """Found; None: nothing but its settings limits it."""
    full_mbps: float = 0.0
    """What it carried when it was full last."""
    cut_at_ms: int = 0
    share_max: float = 1.0
    bad_ratio: float = 0.0
    """Smoothed, above the region's best."""


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of it since the last plan."""

    seen: Bucket
    best_ratio: float
    """`bad_ratio_of` the region's best other CDN."""
    duration_ms: int
    now_ms: int


def bad_ratio_of(seen: Bucket) -> float:
    """Of its fetches those that failed or came late; few fetches say little."""
    return (seen.errors + seen.late + PRIOR_BAD) / (seen.requests + PRIOR_REQUESTS)


def carried_mbps(seen: Bucket, duration_ms: int) -> float:
    """By edges' logs where they tell more than players do."""
    return max(seen.player_bytes, seen.edge_bytes) * 8 / max(duration_ms, 1) / 1000


def judge(memory: EdgeMemory, interval: Interval, nominal_mbps: float | None) -> EdgeMemory:
    """The memory after one more interval of a CDN that is up."""
    seen = interval.seen
    excess = max(0.0, bad_ratio_of(seen) - interval.best_ratio)
    is_bad = excess > BAD_EXCESS_MIN and seen.requests >= REQUESTS_MIN
    above = max(0.0, excess - BAD_TOLERATED)
    limit_mbps, full_mbps, cut_at_ms = memory.limit_mbps, memory.full_mbps, memory.cut_at_ms
    if is_bad and interval.now_ms - cut_at_ms >= CUT_AGAIN_MS:
        full_mbps = carried_mbps(seen, interval.duration_ms)
        limit_mbps, cut_at_ms = CUT_TO * full_mbps, interval.now_ms
    elif limit_mbps is not None and not is_bad:
        is_held = interval.now_ms - cut_at_ms < HELD_MS
        limit_mbps = min(limit_mbps * GROWTH, full_mbps if is_held else LIMIT_MBPS_MAX)
        if limit_mbps >= (LIMIT_MBPS_MAX if nominal_mbps is None else nominal_mbps):
            limit_mbps = None
    share_max = memory.share_max
    if not is_bad:
        share_max = min(1.0, max(SHARE_PROBED, PROBE_GROWTH * share_max))
    return EdgeMemory(
        limit_mbps=limit_mbps,
        full_mbps=full_mbps,
        cut_at_ms=cut_at_ms,
        share_max=share_max,
        bad_ratio=memory.bad_ratio + SMOOTHED * (above - memory.bad_ratio),
    )


def edge_of(memory: EdgeMemory, nominal_mbps: float | None) -> Edge:
    """As the plan takes it."""
    limits = [each for each in (memory.limit_mbps, nominal_mbps) if each is not None]
    return Edge(
        capacity_mbps=min(limits) if limits else None,
        share_max=memory.share_max,
        bad_ratio=memory.bad_ratio,
    )
