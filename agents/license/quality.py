"""How good a picture a device may have, and who may give it the keys; pure."""

from __future__ import annotations

from agents.license.cases import Case
from agents.license.plans import HDCP_VERSIONS
from schemas.catalog import Tier
from schemas.licenses import DecisionFacts, Protection


def allowed_height(case: Case) -> int:
    """The plan's and the terms' height, lowered by what the device says, but never below the
    lowest rendition.
    """
    assert case.plan is not None
    facts = case.facts
    limit = min(case.plan.max_height, case.terms.max_height or case.plan.max_height)
    claimed = facts.device_max_height if facts.device_max_height is not None else limit
    height = min(limit, claimed, _by_link(case, limit))
    lowest = min(facts.tier_heights.values(), default=0)
    return max(height, min(lowest, limit))


def _by_link(case: Case, limit: int) -> int:
    """The lines that the policy allows over a link of the HDCP version that the device says."""
    if not case.facts.device_hdcp:
        return limit
    capped = {str(version): lines for version, lines in case.policy.hdcp_max_heights.items()}
    return capped.get(case.facts.device_hdcp, limit)


def allowed_tiers(case: Case) -> tuple[Tier, ...]:
    """The plan's tiers that terms and device leave, with a rendition that is not too high."""
    assert case.plan is not None
    heights, max_height = case.facts.tier_heights, allowed_height(case)
    return tuple(
        tier
        for tier in case.plan.tiers
        if tier in case.terms.tiers
        and (tier == "audio" or heights.get(tier, max_height + 1) <= max_height)
        and (tier in case.terms.clear_key_tiers or _is_upstreams_alone(case, tier))
    )


def may_be_upstream(case: Case, tier: Tier) -> bool:
    """Whether an upstream service may license the tier, as far as the device says."""
    protection = case.policy.protections.get(tier)
    return protection is not None and not _contradicts(case.facts, protection)


def _is_upstreams_alone(case: Case, tier: Tier) -> bool:
    """A device that has not said that it has what the tier needs would find a key missing."""
    if not may_be_upstream(case, tier):
        return False
    return case.policy.protections[tier].robustness in ("software", case.facts.device_robustness)


def _contradicts(facts: DecisionFacts, protection: Protection) -> bool:
    """What the device says of itself is less than what is asked; the upstream asks its DRM."""
    if protection.robustness == "hardware" and facts.device_robustness == "software":
        return True
    if not protection.hdcp or facts.device_hdcp not in HDCP_VERSIONS:
        return False
    return HDCP_VERSIONS.index(facts.device_hdcp) < HDCP_VERSIONS.index(protection.hdcp)
