"""Judges whether a profile may play a content: rules in order, the first that denies decides.

Pure: `judge` takes every fact and reads nothing else; `explain` tells what each rule said.
"""

from __future__ import annotations

from typing import Final, get_args

import msgspec
from msgspec.structs import replace

from agents.license.cases import Case, PlayFacts, case_of
from agents.license.quality import allowed_height, allowed_tiers, may_be_upstream
from agents.license.rentals import last_moment, opened
from agents.license.rules import RULES, may_stop, stopped, window
from schemas.catalog import Tier
from schemas.licenses import DecisionFacts, DenialReason, Rental
from schemas.sessions import DRMSystem

UPSTREAM_SYSTEMS: Final = frozenset(get_args(DRMSystem))
"""Whose licenses are asked for whole or not at all."""

STATUS: Final[dict[str, int]] = {
    "signed-out": 401,
    "subscription": 402,
    "unknown-content": 404,
    "stale-account": 503,
    "key-service": 503,
}
"""Everything else is 403."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came out, by which rule, on which facts."""

    rule: str
    reason: DenialReason | None
    """None: granted."""
    facts: DecisionFacts
    tiers: tuple[Tier, ...] = ()
    """What the session may play, with whatever keys."""
    clear_key_tiers: tuple[Tier, ...] = ()
    """Those of them whose keys are given to a player that holds them in software."""
    upstream_tiers: tuple[Tier, ...] = ()
    """Those of them that an upstream service may license."""
    max_height: int = 0
    max_bitrate_kbps: int = 0
    rights_until_ms: int | None = None
    """Nothing may be played from then on: window, subscription or rental end. None: no end."""
    rental: Rental | None = None
    """What the account has of the title once the session is open."""
    stopped_session_ids: tuple[str, ...] = ()
    """Sessions that have to end for this one."""

    @property
    def is_granted(self) -> bool:
        """Whether it may be played."""
        return self.reason is None

    def tiers_for(self, system: str) -> tuple[Tier, ...]:
        """What may be licensed by a system, as license requests name it."""
        return self.upstream_tiers if system in UPSTREAM_SYSTEMS else self.clear_key_tiers


class RuleFinding(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an explanation."""

    rule: str
    asks: str
    passed: bool | None
    """None: an earlier rule had decided."""
    found: str = ""
    """The facts, and what the policy wants."""


def judge(facts: PlayFacts) -> Verdict:
    """May this profile play this content on this device now, and how good?"""
    return judge_case(case_of(facts))


def judge_case(case: Case) -> Verdict:
    """The same on recorded facts."""
    plan = case.plan
    for rule in RULES:
        if not rule.passes(case):
            return Verdict(rule=rule.reason, reason=rule.reason, facts=_with_limits(case))
    assert plan is not None
    max_height, tiers = allowed_height(case), allowed_tiers(case)
    rental = opened(case.facts.rental, case.terms, case.now_ms)
    return Verdict(
        rule="ok",
        reason=None,
        facts=_with_limits(case, max_height),
        tiers=tiers,
        clear_key_tiers=tuple(tier for tier in tiers if tier in case.terms.clear_key_tiers),
        upstream_tiers=tuple(tier for tier in tiers if may_be_upstream(case, tier)),
        max_height=max_height,
        max_bitrate_kbps=plan.max_bitrate_kbps,
        rights_until_ms=_rights_until(case, rental),
        rental=rental,
        stopped_session_ids=stopped(case) if may_stop(case) else (),
    )


def explain(facts: PlayFacts) -> tuple[RuleFinding, ...]:
    """What each rule says, in order, up to the one that decides."""
    case = case_of(facts)
    findings = []
    is_decided = False
    for rule in RULES:
        passed = None if is_decided else rule.passes(case)
        found = "" if is_decided else rule.found(case)
        findings.append(RuleFinding(rule=rule.reason, asks=rule.asks, passed=passed, found=found))
        is_decided = is_decided or passed is False
    return tuple(findings)


def _with_limits(case: Case, max_height: int = 0) -> DecisionFacts:
    """With what the policy made of the facts."""
    return replace(
        case.facts,
        device_limit=case.plan.devices_max if case.plan else 0,
        stream_limit=case.plan.streams_max if case.plan else 0,
        max_height=max_height,
    )


def _rights_until(case: Case, rental: Rental | None) -> int | None:
    ends = (
        window(case)[1],
        case.facts.subscription_until_ms,
        last_moment(rental, case.terms),
    )
    return min((at_ms for at_ms in ends if at_ms is not None), default=None)
