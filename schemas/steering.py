"""Which CDN first: `steering.decisions.v1`."""

from __future__ import annotations

import msgspec


class CdnHealth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was measured of one CDN over the last window."""

    cdn: str
    requests: int = 0
    errors: int = 0
    throughput_kbps: int | None = None
    latency_ms: int | None = None
    is_down: bool = False
    down_since_ms: int | None = None


class SteeringDecision(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="type",
    tag="steering_decision",
):
    """The order of CDNs for a cohort from now on; published only on change."""

    cohort: str
    """`*` is everybody."""
    version: int
    order: tuple[str, ...]
    ttl_s: int
    """Seconds, as content steering has it."""
    reason: str
    facts: tuple[CdnHealth, ...]
    policy_version: str
    decided_at_ms: int
