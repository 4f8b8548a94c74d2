"""Which CDN first, and what a CDN can carry: `steering.decisions.v1`, `cdn.settings.v1`."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

EVERYBODY: Final = "*"
"""The cohort of who has no plan."""

CdnName = Annotated[str, Meta(min_length=1, max_length=64)]
Share = Annotated[float, Meta(ge=0, le=1)]


class CdnSettings(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="type",
    tag="cdn_settings",
):
    """What an operator says of a CDN; without any, CDNs are taken in their configured order."""

    cdn: CdnName
    capacity_mbps: Annotated[float, Meta(ge=0)] | None = None
    """None: nobody knows; it is cut where viewers find it slow."""
    region_capacity_mbps: dict[str, Annotated[float, Meta(ge=0)]] = {}
    """Of its edges in a region (ISO 3166); a region that is not named has no limit of its own."""
    commit_mbps: Annotated[float, Meta(ge=0)] = 0.0
    """Paid for whether it is used or not."""
    price_per_gb: Annotated[float, Meta(ge=0)] = 0.0
    """Of what lies above the commit, in any currency; GB = 10^9 bytes."""
    is_drained: bool = False
    """It gets nobody, but where all others are gone."""
    by: str = ""
    """The operator."""
    set_at_ms: int = 0


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
    """`region/asn`; `*` is everybody who has no plan of its own."""
    version: int
    order: tuple[str, ...]
    ttl_s: int
    """Seconds, as content steering has it."""
    reason: str
    facts: tuple[CdnHealth, ...]
    policy_version: str
    decided_at_ms: int
    shares: dict[str, Share] = {}
    """By CDN, of the cohort's sessions; each session draws its order from them. Empty: `order` is
    everybody's."""
    ceiling_kbps: int | None = None
    """For each session of the cohort, where its demand does not fit into what the CDNs carry."""
    demand_mbps: float | None = None
    """What the cohort is expected to take without a ceiling."""


def cohort_of(region: str, asn: int) -> str:
    """The name of those who are steered together: one network in one region."""
    return f"{region}/{asn}"
