"""The order of CDNs: a pure function of what was seen of each, the configured order and the time.

A burst of errors takes a CDN to the end of the order at once. It comes back to its configured
place after a penalty; that is the probe: fails it again, the next penalty is twice as long.
Bandwidth is told with a decision and moves nothing here: a slow edge is the bitrate agent's.
"""

from __future__ import annotations

from typing import Final

import msgspec

from agents.steering.outcomes import Outcome
from schemas.steering import EVERYBODY, CdnHealth, SteeringDecision

POLICY_VERSION: Final = "error-burst-1"

WINDOW_MS: Final = 10_000
BUCKET_MS: Final = 1_000
ERRORS_MIN: Final = 3
ERROR_RATIO_MIN: Final = 0.25
"""Of the window's requests: a few unlucky viewers move nobody else."""
PENALTY_MS_MIN: Final = 30_000
PENALTY_MS_MAX: Final = 600_000
PENALTY_FORGOTTEN_MS: Final = 900_000
"""So long after its last fall a CDN starts with the shortest penalty again."""
TTL_S: Final = 5


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """One second of a CDN."""

    from_ms: int
    requests: int = 0
    errors: int = 0
    """Those below among them."""
    unanswered: int = 0
    """Forgiven by the next good answer: players give requests up at a seek or after an error."""
    throughput_sum_kbps: int = 0
    throughput_count: int = 0
    latency_sum_ms: int = 0
    latency_count: int = 0
    late: int = 0
    """Good answers that took longer than what they hold plays."""
    player_bytes: int = 0
    player_media_ms: int = 0
    """What was fetched plays so long; sound beside a picture is not counted."""
    edge_bytes: int = 0
    """The same fetches again where edges send their logs."""
    edge_media_ms: int = 0


class CdnState(msgspec.Struct, frozen=True, kw_only=True):
    """One CDN: the window, and the penalty that runs or ran last."""

    buckets: tuple[Bucket, ...] = ()
    down_since_ms: int | None = None
    """None: not penalized."""
    penalty_ms: int = PENALTY_MS_MIN
    fell_at_ms: int | None = None


class SteeringState(msgspec.Struct, frozen=True, kw_only=True):
    """Every configured CDN by name, in configured order, and what was decided last."""

    cdns: dict[str, CdnState]
    order: tuple[str, ...] = ()
    version: int = 0
    drained: frozenset[str] = frozenset()
    """By an operator; they stand behind all that are up."""


def initial_state(names: tuple[str, ...], last: SteeringDecision | None) -> SteeringState:
    """The state at start; penalties that the last decision told of run on."""
    down = {
        fact.cdn: fact.down_since_ms
        for fact in (last.facts if last is not None else ())
        if fact.is_down and fact.down_since_ms is not None
    }
    cdns = {
        name: CdnState(down_since_ms=down.get(name), fell_at_ms=down.get(name)) for name in names
    }
    if last is None:
        return SteeringState(cdns=cdns)
    return SteeringState(cdns=cdns, order=last.order, version=last.version)


def merge(state: SteeringState, name: str, seen: Bucket) -> SteeringState:
    """The state with a second of a CDN, or a part of one; an unknown CDN changes nothing."""
    cdn = state.cdns.get(name)
    if cdn is None:
        return state
    is_answered = seen.requests > seen.errors
    earlier = tuple(_forgiven(b) for b in cdn.buckets) if is_answered else cdn.buckets
    kept = [bucket for bucket in earlier if bucket.from_ms != seen.from_ms]
    same = next((b for b in earlier if b.from_ms == seen.from_ms), Bucket(from_ms=seen.from_ms))
    kept.append(add(same, seen))
    kept.sort(key=lambda bucket: bucket.from_ms)
    newest_ms = kept[-1].from_ms
    buckets = tuple(bucket for bucket in kept if bucket.from_ms > newest_ms - 2 * WINDOW_MS)
    return _with_cdn(state, name, msgspec.structs.replace(cdn, buckets=buckets))


def bucket_of(outcome: Outcome) -> Bucket:
    """One outcome, as a part of its second."""
    throughput_kbps, latency_ms = outcome.throughput_kbps, outcome.latency_ms
    return Bucket(
        from_ms=outcome.at_ms - outcome.at_ms % BUCKET_MS,
        requests=1,
        errors=int(outcome.is_error),
        unanswered=int(outcome.is_unanswered),
        throughput_sum_kbps=throughput_kbps or 0,
        throughput_count=int(throughput_kbps is not None),
        latency_sum_ms=latency_ms or 0,
        latency_count=int(latency_ms is not None),
        late=int(outcome.is_late),
        player_bytes=0 if outcome.is_of_edge else outcome.size_bytes,
        player_media_ms=0 if outcome.is_of_edge else outcome.media_ms,
        edge_bytes=outcome.size_bytes if outcome.is_of_edge else 0,
        edge_media_ms=outcome.media_ms if outcome.is_of_edge else 0,
    )


def add(one: Bucket, other: Bucket) -> Bucket:
    """Both together, from the first one's second."""
    return Bucket(
        from_ms=one.from_ms,
        requests=one.requests + other.requests,
        errors=one.errors + other.errors,
        unanswered=one.unanswered + other.unanswered,
        throughput_sum_kbps=one.throughput_sum_kbps + other.throughput_sum_kbps,
        throughput_count=one.throughput_count + other.throughput_count,
        latency_sum_ms=one.latency_sum_ms + other.latency_sum_ms,
        latency_count=one.latency_count + other.latency_count,
        late=one.late + other.late,
        player_bytes=one.player_bytes + other.player_bytes,
        player_media_ms=one.player_media_ms + other.player_media_ms,
        edge_bytes=one.edge_bytes + other.edge_bytes,
        edge_media_ms=one.edge_media_ms + other.edge_media_ms,
    )


def decide(state: SteeringState, now_ms: int) -> tuple[SteeringState, SteeringDecision | None]:
    """The state after deciding, and the decision where the order is another one now."""
    reasons: list[str] = []
    for name, cdn in state.cdns.items():
        changed, reason = _judge(cdn, now_ms)
        if reason:
            reasons.append(f"{name}-{reason}")
            state = _with_cdn(state, name, changed)
    order = _order(state)
    if order == state.order:
        return state, None
    state = msgspec.structs.replace(state, order=order, version=state.version + 1)
    return state, SteeringDecision(
        cohort=EVERYBODY,
        version=state.version,
        order=order,
        ttl_s=TTL_S,
        reason=", ".join(reasons) or "configured",
        facts=tuple(_health(name, cdn, now_ms) for name, cdn in state.cdns.items()),
        policy_version=POLICY_VERSION,
        decided_at_ms=now_ms,
    )


def _judge(cdn: CdnState, now_ms: int) -> tuple[CdnState, str]:
    """The CDN up or down now, and a word where that changed."""
    if cdn.down_since_ms is not None:
        if now_ms - cdn.down_since_ms < cdn.penalty_ms:
            return cdn, ""
        # What went wrong before does not count against the probe.
        return msgspec.structs.replace(cdn, down_since_ms=None, buckets=()), "returned"
    requests, errors = _counted(cdn, now_ms)
    if errors < ERRORS_MIN or errors < ERROR_RATIO_MIN * requests:
        return cdn, ""
    penalty_ms = PENALTY_MS_MIN
    if cdn.fell_at_ms is not None and now_ms - cdn.fell_at_ms < PENALTY_FORGOTTEN_MS:
        penalty_ms = min(2 * cdn.penalty_ms, PENALTY_MS_MAX)
    fallen = msgspec.structs.replace(
        cdn, down_since_ms=now_ms, fell_at_ms=now_ms, penalty_ms=penalty_ms
    )
    return fallen, "failed"


def _order(state: SteeringState) -> tuple[str, ...]:
    """As configured; then those drained, then those down, the one that is down longest first."""
    down = down_in(state)
    up = [name for name in state.cdns if name not in down]
    up.sort(key=lambda name: name in state.drained)
    fallen = [name for name in state.cdns if name in down]
    fallen.sort(key=lambda name: state.cdns[name].down_since_ms or 0)
    return (*up, *fallen)


def down_in(state: SteeringState) -> frozenset[str]:
    """The CDNs whose penalty runs."""
    return frozenset(name for name, cdn in state.cdns.items() if cdn.down_since_ms is not None)


def _counted(cdn: CdnState, now_ms: int) -> tuple[int, int]:
    recent = _recent(cdn, now_ms)
    return sum(b.requests for b in recent), sum(b.errors for b in recent)


def _recent(cdn: CdnState, now_ms: int) -> list[Bucket]:
    return [bucket for bucket in cdn.buckets if bucket.from_ms > now_ms - WINDOW_MS]


def _health(name: str, cdn: CdnState, now_ms: int) -> CdnHealth:
    recent = _recent(cdn, now_ms)
    throughput_count = sum(b.throughput_count for b in recent)
    latency_count = sum(b.latency_count for b in recent)
    return CdnHealth(
        cdn=name,
        requests=sum(b.requests for b in recent),
        errors=sum(b.errors for b in recent),
        throughput_kbps=sum(b.throughput_sum_kbps for b in recent) // throughput_count
        if throughput_count
        else None,
        latency_ms=sum(b.latency_sum_ms for b in recent) // latency_count
        if latency_count
        else None,
        is_down=cdn.down_since_ms is not None,
        down_since_ms=cdn.down_since_ms,
    )


def _forgiven(bucket: Bucket) -> Bucket:
    if not bucket.unanswered:
        return bucket
    return msgspec.structs.replace(
        bucket,
        requests=bucket.requests - bucket.unanswered,
        errors=bucket.errors - bucket.unanswered,
        unanswered=0,
    )


def _with_cdn(state: SteeringState, name: str, cdn: CdnState) -> SteeringState:
    return msgspec.structs.replace(state, cdns={**state.cdns, name: cdn})
