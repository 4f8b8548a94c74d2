"""The license policy as data: plans, states that may play, limits, caps.

Who changes it raises `version`: every decision says which one it followed.
"""

from __future__ import annotations

from typing import Final

import msgspec

from schemas.accounts import CANARY_PLAN, Account, SubscriptionState
from schemas.catalog import Tier


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan includes."""

    streams_max: int
    devices_max: int
    tiers: tuple[Tier, ...]
    max_height: int
    max_bitrate_kbps: int
    """Video and audio together; 0: no limit."""


class LicensePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a license decision follows beside its facts."""

    version: str
    plans: dict[str, Plan]
    playing_states: frozenset[SubscriptionState]
    hdcp_max_heights: dict[str, int]
    """What a client says about its link can only lower the height; nothing said: no cap."""
    refused_models: frozenset[str] = frozenset()
    session_ms: int = 24 * 3_600_000
    """A session token lives no longer."""
    idle_ms: int = 600_000
    """A session dies this long after its last traffic."""
    lease_ms: int = 30_000
    """Three heartbeat intervals: a slot without traffic for so long is free for another."""
    view_age_ms_max: int = 30_000
    """Older knowledge of accounts or titles is not decided on."""

    def streams_max(self, account: Account | None) -> int:
        """How many streams the account's plan includes; 0 where there is no account or plan."""
        plan = self.plans.get(account.subscription.plan) if account is not None else None
        return plan.streams_max if plan is not None else 0


POLICY: Final = LicensePolicy(
    version="2026-11-22.2",
    plans={
        "basic": Plan(
            streams_max=1,
            devices_max=3,
            tiers=("audio", "sd"),
            max_height=480,
            max_bitrate_kbps=2_500,
        ),
        "standard": Plan(
            streams_max=2,
            devices_max=5,
            tiers=("audio", "sd", "hd"),
            max_height=1080,
            max_bitrate_kbps=10_000,
        ),
        "premium": Plan(
            streams_max=4,
            devices_max=10,
            tiers=("audio", "sd", "hd", "uhd"),
            max_height=2160,
            max_bitrate_kbps=0,
        ),
        CANARY_PLAN: Plan(
            streams_max=2,
            devices_max=10,
            tiers=("audio", "sd"),
            max_height=480,
            max_bitrate_kbps=0,
        ),
    },
    playing_states=frozenset({"trial", "active", "grace"}),
    hdcp_max_heights={"none": 576, "1.0": 576, "1.1": 576, "1.2": 576, "1.3": 576, "1.4": 1080},
)
