"""A past decision judged again under another policy, by the facts that it carries; pure.

Each is judged by itself: what would have followed from another outcome is not known. Where a fact
is not on record, what the outcome of then proves is used, and what it does not prove is named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from agents.license.cases import Case
from agents.license.plans import LicensePolicy
from agents.license.policy import UPSTREAM_SYSTEMS, Verdict, judge_case
from agents.license.rentals import played
from agents.license.rules import RULES, Rule
from schemas.catalog import Tier
from schemas.licenses import LicenseDecision, Rental

Change = Literal["same", "gains", "loses", "better", "worse", "undecided"]

FIRST_LEASE_MS: Final = 30_000
"""Of every policy that decisions of revision 0 followed: they carry none."""
_JUDGED: Final[Mapping[str, tuple[Rule, ...]]] = {
    "open": RULES,
    "extend": RULES,
    "license": RULES,
    "resume": tuple(rule for rule in RULES if rule.reason == "concurrent-streams"),
}
"""Actions that a policy decides, and by which rules."""
_REASONS: Final = frozenset(rule.reason for rule in RULES)
_NOT_OF_POLICY: Final = frozenset({"stale-account", "unknown-profile", "unknown-content"})
_ORDER: Final[Mapping[str, int]] = {rule.reason: number for number, rule in enumerate(RULES)}


class Rejudged(msgspec.Struct, frozen=True, kw_only=True):
    """What a past decision would have been."""

    change: Change
    rule: str = ""
    """Which rule, or which part of the quality, makes the difference."""
    lacks: tuple[str, ...] = ()
    """Facts that are not on record and would decide."""
    rental: Rental | None = None
    """What the account would have of the title from then on."""
    session_tiers: tuple[Tier, ...] | None = None
    """What the session might play from then on, where it is decided."""
    stopped_count: int = 0
    """Sessions that would have had to end for it."""


class Before(msgspec.Struct, frozen=True, kw_only=True):
    """What came of decisions before, by the same policy."""

    rental: Rental | None = None
    """What the account would have of the title."""
    session_tiers: tuple[Tier, ...] | None = None
    """What the session might play; None: it was opened before anything was judged again."""


def rejudge(
    decision: LicenseDecision, policy: LicensePolicy, before: Before | None = None
) -> Rejudged | None:
    """None where no policy decides: sessions that ended, foreign keys, what was not known."""
    if not _is_of_policy(decision):
        return None
    before = before or Before()
    case = _case_of(decision, policy, before.rental)
    lacks: list[str] = []
    for rule in _JUDGED[decision.action]:
        lacked = _lacked(rule, case, decision)
        lacks += lacked
        if not lacked and not rule.passes(case):
            was_granted = decision.outcome == "granted"
            return Rejudged(change="loses" if was_granted else "same", rule=rule.reason)
    if lacks:
        return Rejudged(change="undecided", lacks=tuple(lacks))
    if decision.action == "resume":
        return _granted(decision, "concurrent-streams")
    return _compare(decision, case, judge_case(case), before)


def _is_of_policy(decision: LicenseDecision) -> bool:
    """Denials by the session, the keys or the key service stay what they are."""
    if decision.action not in _JUDGED or decision.reason in _NOT_OF_POLICY:
        return False
    return decision.outcome == "granted" or decision.reason in _REASONS


def _case_of(decision: LicenseDecision, policy: LicensePolicy, rental: Rental | None) -> Case:
    facts = decision.facts
    if facts.revision == 0:
        was_full = facts.device_count >= facts.device_limit
        facts = replace(facts, is_registered=was_full and _passed(decision, "device-limit"))
    return Case.of(
        replace(facts, rental=facts.rental or rental),
        policy,
        content_id=decision.content_id,
        now_ms=decision.decided_at_ms,
        is_opening=decision.action == "open",
    )


def _passed(decision: LicenseDecision, reason: str) -> bool:
    """Whether the rule was met then: it was granted, or a later rule denied."""
    if decision.outcome == "granted":
        return True
    return _ORDER.get(decision.reason, len(RULES)) > _ORDER[reason]


# -- what is not on record --------------------------------------------------------------------


def _lacked(rule: Rule, case: Case, decision: LicenseDecision) -> tuple[str, ...]:
    lacked = _LACKED.get(rule.reason)
    return () if lacked is None else lacked(case, decision)


def _subscription(case: Case, decision: LicenseDecision) -> tuple[str, ...]:
    is_known = case.facts.revision > 0 or _passed(decision, "subscription")
    if is_known or case.facts.subscription_state not in case.policy.playing_states:
        return ()
    return ("subscription_until_ms", "is_closed")


def _plan(case: Case, decision: LicenseDecision) -> tuple[str, ...]:
    is_known = case.facts.revision > 0 or _passed(decision, "plan")
    if is_known or case.plan is None or case.terms.plans is not None:
        return ()
    return ("title_plans",)


def _anonymizer(case: Case, _: LicenseDecision) -> tuple[str, ...]:
    is_asked = case.terms.anonymizers_refused and case.facts.anonymizers is None
    return ("anonymizers",) if is_asked else ()


def _rental(case: Case, _: LicenseDecision) -> tuple[str, ...]:
    is_asked = case.terms.rental_ms or case.terms.playback_ms
    is_known = case.facts.revision > 0 or case.facts.rental is not None
    return ("rental",) if is_asked and not is_known else ()


def _device_limit(case: Case, _: LicenseDecision) -> tuple[str, ...]:
    facts = case.facts
    if facts.revision > 0 or facts.is_registered or case.plan is None:
        return ()
    return ("is_registered",) if facts.device_count >= case.plan.devices_max else ()


def _tier(case: Case, decision: LicenseDecision) -> tuple[str, ...]:
    """Without the title's ladder it is only known that tiers which were given still may be."""
    if case.facts.revision > 0 or case.plan is None or decision.outcome == "denied":
        return ()
    allowed = set(case.plan.tiers) & set(case.terms.tiers) & set(case.terms.clear_key_tiers)
    is_narrowed = not set(decision.tiers) <= allowed
    return ("tier_heights", "tiers_asked") if is_narrowed else ()


def _streams(case: Case, _: LicenseDecision) -> tuple[str, ...]:
    """The count is of those within the grace of then: at most so many within a shorter one, and at
    least within a longer one.
    """
    facts = case.facts
    if case.plan is None:
        return ("plan",)
    then_ms = facts.lease_ms or FIRST_LEASE_MS
    is_full = facts.stream_count >= case.plan.streams_max
    grace_ms = case.policy.lease_ms
    is_open = grace_ms < then_ms if is_full else grace_ms > then_ms
    makes_room = case.is_opening and case.policy.concurrency == "stop-oldest"
    return ("stream_count",) if is_open and not makes_room else ()


_LACKED: Final[Mapping[str, Callable[[Case, LicenseDecision], tuple[str, ...]]]] = {
    "subscription": _subscription,
    "plan": _plan,
    "anonymizer": _anonymizer,
    "rental": _rental,
    "device-limit": _device_limit,
    "tier": _tier,
    "concurrent-streams": _streams,
}


# -- what is granted then and now -------------------------------------------------------------


def _compare(decision: LicenseDecision, case: Case, verdict: Verdict, before: Before) -> Rejudged:
    assert verdict.is_granted, "every rule was met"
    if decision.action == "license":
        session_tiers = before.session_tiers
        if session_tiers is None:
            session_tiers = case.facts.session_tiers
        found = _compare_license(decision, verdict, session_tiers)
        return replace(found, rental=played(verdict.rental, case.terms, case.now_ms))
    if decision.session is None or case.facts.revision == 0:
        found = _granted(decision, decision.reason)
    else:
        found = _compare_session(decision, case, verdict)
    stopped_count = len(verdict.stopped_session_ids) - len(decision.stopped_session_ids)
    return replace(
        found,
        rental=verdict.rental,
        session_tiers=verdict.tiers,
        stopped_count=max(0, stopped_count),
    )


def _granted(decision: LicenseDecision, rule: str) -> Rejudged:
    if decision.outcome == "granted":
        return Rejudged(change="same")
    return Rejudged(change="gains", rule=rule)


def _compare_session(decision: LicenseDecision, case: Case, verdict: Verdict) -> Rejudged:
    session = decision.session
    assert session is not None
    ends_at_ms = case.now_ms + case.policy.session_ms
    if verdict.rights_until_ms is not None:
        ends_at_ms = min(ends_at_ms, verdict.rights_until_ms)
    unlimited = 1 << 62
    return _better_or_worse(
        tier=_compare_tiers(session.tiers, verdict.tiers),
        height=verdict.max_height - session.max_height,
        bitrate=(verdict.max_bitrate_kbps or unlimited) - (session.max_bitrate_kbps or unlimited),
        expiry=ends_at_ms - session.expires_at_ms,
    )


def _compare_license(
    decision: LicenseDecision, verdict: Verdict, session_tiers: tuple[Tier, ...]
) -> Rejudged:
    if decision.facts.revision == 0:
        return _granted(decision, decision.reason)
    asked = decision.facts.tiers_asked
    allowed = set(verdict.tiers_for(decision.system)) & set(session_tiers)
    now = tuple(tier for tier in asked if tier in allowed)
    if decision.system in UPSTREAM_SYSTEMS and len(now) < len(asked):
        now = ()  # an upstream gets leave for all or none
    tier_of = dict(zip(decision.key_ids_asked, asked, strict=False))
    then = tuple(tier_of.get(key_id, "") for key_id in decision.key_ids_granted)
    if not now:
        is_lost = decision.outcome == "granted"
        return Rejudged(change="loses" if is_lost else "same", rule="tier")
    if decision.outcome == "denied":
        return Rejudged(change="gains", rule=decision.reason)
    return _better_or_worse(tier=_compare_tiers(then, now))


def _compare_tiers(then: tuple[Tier | str, ...], now: tuple[Tier | str, ...]) -> int:
    """Below 0 where one is lost."""
    return -1 if set(then) - set(now) else len(set(now) - set(then))


def _better_or_worse(**differences: int) -> Rejudged:
    """Worse where anything is."""
    for change, sign in (("worse", -1), ("better", 1)):
        for name, difference in differences.items():
            if difference * sign > 0:
                return Rejudged(change=change, rule=name)  # type: ignore[arg-type]  # of Change
    return Rejudged(change="same")
