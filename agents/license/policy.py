"""Judges whether a profile may play a content: rules in order, the first that denies decides.

Pure: `judge` takes every fact and reads nothing else; `explain` tells what each rule said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from agents.license.plans import LicensePolicy, Plan
from schemas.accounts import Account, Profile
from schemas.catalog import Rendition, Tier, Title
from schemas.licenses import DecisionFacts, DenialReason
from schemas.sessions import Device


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayFacts:
    """Everything that a judgment uses."""

    now_ms: int
    policy: LicensePolicy
    account: Account | None
    profile_id: str
    title: Title | None
    device: Device
    region: str
    known_device_ids: frozenset[str] = frozenset()
    """Devices that the account registered before."""
    other_session_ids: tuple[str, ...] = ()
    """Sessions of the account that hold a slot, without the one that is judged."""

    @property
    def plan(self) -> Plan | None:
        """The account's plan, as far as the policy knows it."""
        if self.account is None:
            return None
        return self.policy.plans.get(self.account.subscription.plan)

    @property
    def profile(self) -> Profile | None:
        """The viewer, where the account has them."""
        profiles = self.account.profiles if self.account is not None else ()
        return next((p for p in profiles if p.profile_id == self.profile_id), None)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came out, by which rule, on which facts."""

    rule: str
    reason: DenialReason | None
    """None: granted."""
    facts: DecisionFacts
    tiers: tuple[Tier, ...] = ()
    max_height: int = 0
    max_bitrate_kbps: int = 0

    @property
    def is_granted(self) -> bool:
        """Whether it may be played."""
        return self.reason is None


class RuleFinding(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an explanation."""

    rule: str
    asks: str
    passed: bool | None
    """None: an earlier rule had decided."""


@dataclass(frozen=True, slots=True)
class _Rule:
    reason: DenialReason
    asks: str
    passes: Callable[[PlayFacts], bool]


def _has_subscription(facts: PlayFacts) -> bool:
    assert facts.account is not None
    subscription = facts.account.subscription
    if subscription.state not in facts.policy.playing_states or facts.account.is_closed:
        return False
    return subscription.until_ms is None or facts.now_ms < subscription.until_ms


def _includes_title(facts: PlayFacts) -> bool:
    assert facts.account is not None
    assert facts.title is not None
    plans = facts.title.plans
    return facts.plan is not None and (not plans or facts.account.subscription.plan in plans)


def _is_in_region(facts: PlayFacts) -> bool:
    assert facts.title is not None
    return not facts.title.regions or facts.region in facts.title.regions


def _is_in_window(facts: PlayFacts) -> bool:
    assert facts.title is not None
    opens_at_ms, ends_at_ms = facts.title.available_from_ms, facts.title.available_until_ms
    if opens_at_ms is not None and facts.now_ms < opens_at_ms:
        return False
    return ends_at_ms is None or facts.now_ms < ends_at_ms


def _is_old_enough(facts: PlayFacts) -> bool:
    assert facts.title is not None
    assert facts.profile is not None
    return facts.title.maturity <= facts.profile.maturity


def _has_room_for_device(facts: PlayFacts) -> bool:
    assert facts.plan is not None
    known = facts.known_device_ids
    return facts.device.device_id in known or len(known) < facts.plan.devices_max


def _has_free_slot(facts: PlayFacts) -> bool:
    assert facts.plan is not None
    return len(facts.other_session_ids) < facts.plan.streams_max


RULES: Final[tuple[_Rule, ...]] = (
    _Rule("stale-account", "is the account known?", lambda f: f.account is not None),
    _Rule("unknown-profile", "is the profile the account's?", lambda f: f.profile is not None),
    _Rule("unknown-content", "is the content in the catalog?", lambda f: f.title is not None),
    _Rule("subscription", "does the subscription run?", _has_subscription),
    _Rule("plan", "does the plan include the title?", _includes_title),
    _Rule("region", "is the title licensed in the region?", _is_in_region),
    _Rule("window", "is it inside the availability window?", _is_in_window),
    _Rule("maturity", "is the title within the profile's age limit?", _is_old_enough),
    _Rule(
        "device",
        "is the device's model accepted?",
        lambda f: f.device.model not in f.policy.refused_models,
    ),
    _Rule("device-limit", "is the device registered, or is there room?", _has_room_for_device),
    _Rule("concurrent-streams", "is a stream slot free?", _has_free_slot),
)

STATUS: Final[dict[str, int]] = {
    "subscription": 402,
    "unknown-content": 404,
    "stale-account": 503,
    "key-service": 503,
}
"""Everything else is 403."""


def judge(facts: PlayFacts) -> Verdict:
    """May this profile play this content on this device now, and how good?"""
    for rule in RULES:
        if not rule.passes(facts):
            return Verdict(rule=rule.reason, reason=rule.reason, facts=used(facts, 0))
    assert facts.plan is not None
    assert facts.title is not None
    max_height = allowed_height(facts.plan, facts.device, facts.title.video, facts.policy)
    return Verdict(
        rule="ok",
        reason=None,
        facts=used(facts, max_height),
        tiers=allowed_tiers(facts.plan, facts.title.video, max_height),
        max_height=max_height,
        max_bitrate_kbps=facts.plan.max_bitrate_kbps,
    )


def explain(facts: PlayFacts) -> tuple[RuleFinding, ...]:
    """What each rule says, in order, up to the one that decides."""
    findings = []
    is_decided = False
    for rule in RULES:
        passed = None if is_decided else rule.passes(facts)
        findings.append(RuleFinding(rule=rule.reason, asks=rule.asks, passed=passed))
        is_decided = is_decided or passed is False
    return tuple(findings)


def allowed_height(
    plan: Plan, device: Device, ladder: tuple[Rendition, ...], policy: LicensePolicy
) -> int:
    """The plan's height, lowered by what the device says, but never below the lowest rendition."""
    height = min(
        plan.max_height,
        device.max_height if device.max_height is not None else plan.max_height,
        policy.hdcp_max_heights.get(device.hdcp, plan.max_height),
    )
    lowest = min((rendition.height for rendition in ladder), default=0)
    return max(height, min(lowest, plan.max_height))


def allowed_tiers(plan: Plan, ladder: tuple[Rendition, ...], max_height: int) -> tuple[Tier, ...]:
    """The plan's tiers that have a rendition of this height or less; audio always."""
    reachable = {rendition.tier for rendition in ladder if rendition.height <= max_height}
    return tuple(tier for tier in plan.tiers if tier == "audio" or tier in reachable)


def used(facts: PlayFacts, max_height: int) -> DecisionFacts:
    """The facts as they go into the decision's event, so that it can be judged again."""
    account, title, plan = facts.account, facts.title, facts.plan
    return DecisionFacts(
        plan=account.subscription.plan if account else "",
        subscription_state=account.subscription.state if account else "",
        region=facts.region,
        title_regions=title.regions if title else (),
        available_from_ms=title.available_from_ms if title else None,
        available_until_ms=title.available_until_ms if title else None,
        title_maturity=title.maturity if title else 0,
        profile_maturity=facts.profile.maturity if facts.profile else 0,
        device_id=facts.device.device_id,
        device_model=facts.device.model,
        device_count=len(facts.known_device_ids),
        device_limit=plan.devices_max if plan else 0,
        stream_count=len(facts.other_session_ids),
        stream_limit=plan.streams_max if plan else 0,
        running_session_ids=facts.other_session_ids,
        title_version=title.version if title else 0,
        account_version=account.version if account else 0,
        max_height=max_height,
    )
