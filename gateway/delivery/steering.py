"""Content steering: what a player says when it asks, and the answer in DASH's and HLS's one form.

The answer is always 200: 410 and 429 stop two of the three players for good. The TTL sets the pace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

PATHWAYS_MAX = 16
# On a loopback dash.js reports 10^9 bit/s and more; no access network is faster than this.
THROUGHPUT_KBPS_MAX = 10_000_000
TTL_S_MIN = 1
TTL_S_MAX = 300


class SteeringRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The pathways a player used since it last asked, and the throughput it saw on each."""

    pathways: tuple[str, ...] = ()
    throughputs_kbps: tuple[int, ...] = ()
    """As many as pathways, or none: a list of another length tells nothing."""


class SteeringAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The steering manifest."""

    version: int = msgspec.field(default=1, name="VERSION")
    ttl_s: int = msgspec.field(name="TTL")
    reload_uri: str = msgspec.field(name="RELOAD-URI")
    pathway_priority: tuple[str, ...] = msgspec.field(name="PATHWAY-PRIORITY")


def parse_steering_request(query: Mapping[str, str]) -> SteeringRequest:
    """Reads ``_DASH_*`` or ``_HLS_*`` arguments, quoted or not, one value or a list, or none."""
    prefix = "_HLS" if "_HLS_pathway" in query else "_DASH"
    pathways = _list(query.get(f"{prefix}_pathway", ""))
    throughputs = [_kbps(text) for text in _list(query.get(f"{prefix}_throughput", ""))]
    known = [value for value in throughputs if value is not None]
    if len(known) != len(pathways):
        known = []
    return SteeringRequest(pathways=pathways, throughputs_kbps=tuple(known))


def answer_steering(
    pathway_priority: Sequence[str], *, ttl_s: int, reload_uri: str
) -> SteeringAnswer:
    """The answer that keeps a player on these pathways, best first, until it asks again."""
    assert pathway_priority
    return SteeringAnswer(
        ttl_s=min(max(ttl_s, TTL_S_MIN), TTL_S_MAX),
        reload_uri=reload_uri,
        pathway_priority=tuple(pathway_priority),
    )


def _list(text: str) -> tuple[str, ...]:
    items = (item.strip(' "') for item in text.split(",", PATHWAYS_MAX)[:PATHWAYS_MAX])
    return tuple(item[:64] for item in items if item)


def _kbps(bits_per_second: str) -> int | None:
    whole = bits_per_second.partition(".")[0]
    if not whole.isdecimal() or len(whole) > 15:
        return None
    return min(int(whole) // 1000, THROUGHPUT_KBPS_MAX)
