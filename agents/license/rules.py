"""The rules, in the order in which they are asked; pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Final

from agents.license.cases import Case
from agents.license.quality import allowed_tiers
from agents.license.rentals import is_over
from schemas.licenses import DenialReason


@dataclass(frozen=True, slots=True)
class Rule:
    """One question to a case."""

    reason: DenialReason
    asks: str
    passes: Callable[[Case], bool]
    found: Callable[[Case], str]


def _has_subscription(case: Case) -> bool:
    facts, until_ms = case.facts, case.facts.subscription_until_ms
    if facts.is_closed:
        return False
    if facts.subscription_state == "cancelled":  # it was paid for until its date
        return until_ms is not None and case.now_ms < until_ms
    if facts.subscription_state not in case.policy.playing_states:
        return False
    return until_ms is None or case.now_ms < until_ms


def _plans(case: Case) -> tuple[str, ...]:
    """Those that include the title; none: every plan does."""
    plans = case.terms.plans
    return case.facts.title_plans if plans is None else plans


def _includes_title(case: Case) -> bool:
    plans = _plans(case)
    return case.plan is not None and (not plans or case.facts.plan in plans)


def _is_in_region(case: Case) -> bool:
    """Where the region is unknown, it is in no list, and nobody knows that it is not refused."""
    region, terms = case.facts.region, case.terms
    if any(allowed and region not in allowed for allowed in _allowed_regions(case)):
        return False
    return not terms.regions_refused or (bool(region) and region not in terms.regions_refused)


def _allowed_regions(case: Case) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return case.facts.title_regions, case.terms.regions_allowed


def _is_seen_plainly(case: Case) -> bool:
    return not set(case.facts.anonymizers or ()) & set(case.terms.anonymizers_refused)


def window(case: Case) -> tuple[int | None, int | None]:
    """Start and end of the rights in Unix ms: the catalog's window, narrowed by the policy's."""
    facts, terms = case.facts, case.terms
    starts = [at for at in (facts.available_from_ms, terms.rights_from_ms) if at is not None]
    ends = [at for at in (facts.available_until_ms, terms.rights_until_ms) if at is not None]
    return max(starts, default=None), min(ends, default=None)


def _is_in_window(case: Case) -> bool:
    opens_at_ms, ends_at_ms = window(case)
    if opens_at_ms is not None and case.now_ms < opens_at_ms:
        return False
    return ends_at_ms is None or case.now_ms < ends_at_ms


def _maturity(case: Case) -> int:
    maturity = case.terms.maturity
    return case.facts.title_maturity if maturity is None else maturity


def _is_accepted_model(case: Case) -> bool:
    model, terms = case.facts.device_model, case.terms
    if any(fnmatchcase(model, pattern) for pattern in terms.models_refused):
        return False
    allowed = terms.models_allowed
    return not allowed or any(model and fnmatchcase(model, pattern) for pattern in allowed)


def _has_room_for_device(case: Case) -> bool:
    assert case.plan is not None
    return case.facts.is_registered or case.facts.device_count < case.plan.devices_max


def _has_registered_key(case: Case) -> bool:
    """A device that has a key once is not believed without it, or with another."""
    return case.facts.registered_public_key in ("", case.facts.device_public_key)


def _is_worth_watching(case: Case) -> bool:
    """More than sound, where the title has pictures."""
    return not case.facts.tier_heights or any(tier != "audio" for tier in allowed_tiers(case))


def stopped(case: Case) -> tuple[str, ...]:
    """The oldest sessions, as many as are too many with a new one."""
    assert case.plan is not None
    running = case.facts.running_session_ids
    return running[: max(0, len(running) - case.plan.streams_max + 1)]


def may_stop(case: Case) -> bool:
    """Whether the case may end other sessions."""
    return case.is_opening and case.policy.concurrency == "stop-oldest"


def _has_free_slot(case: Case) -> bool:
    """Only a session that is opened stops others: two that came back would stop one another."""
    assert case.plan is not None
    if may_stop(case) and case.plan.streams_max > 0:
        return True
    return case.facts.stream_count < case.plan.streams_max


def _at(at_ms: int | None) -> str:
    if at_ms is None:
        return "ever"
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")


def _list(values: tuple[str, ...] | None, otherwise: str) -> str:
    return ", ".join(values) if values else otherwise


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "stale-account",
        "is the account known?",
        lambda c: "account" not in c.facts.missing,
        lambda c: f"version {c.facts.account_version}",
    ),
    Rule(
        "revoked",
        "are account, device and session not revoked?",
        lambda c: not c.facts.revoked,
        lambda c: c.facts.revoked,
    ),
    Rule(
        "signed-out",
        "was it signed in since everything was signed out?",
        lambda c: not c.facts.is_signed_out,
        lambda _: "",
    ),
    Rule(
        "unknown-profile",
        "is the profile the account's?",
        lambda c: "profile" not in c.facts.missing,
        lambda _: "",
    ),
    Rule(
        "profile-pin",
        "has the profile no PIN, or was it said?",
        lambda c: not c.facts.is_locked,
        lambda _: "",
    ),
    Rule(
        "unknown-content",
        "is the content in the catalog?",
        lambda c: "title" not in c.facts.missing,
        lambda c: f"version {c.facts.title_version}",
    ),
    Rule(
        "subscription",
        "does the subscription run?",
        _has_subscription,
        lambda c: "account closed" if c.facts.is_closed else c.facts.subscription_state,
    ),
    Rule(
        "plan",
        "does the plan include the title?",
        _includes_title,
        lambda c: f"{c.facts.plan or 'none'}; included in: {_list(_plans(c), 'every plan')}",
    ),
    Rule(
        "region",
        "is the title licensed in the region?",
        _is_in_region,
        lambda c: (
            f"{c.facts.region or 'unknown'}; allowed: "
            + " and ".join(_list(a, "all") for a in _allowed_regions(c))
            + f"; refused: {_list(c.terms.regions_refused, 'none')}"
        ),
    ),
    Rule(
        "anonymizer",
        "is the address of no refused kind?",
        _is_seen_plainly,
        lambda c: (
            ("not looked up" if c.facts.anonymizers is None else _list(c.facts.anonymizers, "none"))
            + f"; refused: {_list(c.terms.anonymizers_refused, 'none')}"
        ),
    ),
    Rule(
        "window",
        "is it inside the availability window?",
        _is_in_window,
        lambda c: " until ".join(_at(each) for each in window(c)),
    ),
    Rule(
        "rental",
        "does the rental run, or begin?",
        lambda c: not is_over(c.facts.rental, c.terms, c.now_ms),
        lambda c: (
            f"until {_at(c.facts.rental.ends_at_ms)}" if c.facts.rental else "not seen before"
        ),
    ),
    Rule(
        "maturity",
        "is the title within the profile's age limit?",
        lambda c: _maturity(c) <= c.facts.profile_maturity,
        lambda c: f"title {_maturity(c)}, profile {c.facts.profile_maturity}",
    ),
    Rule(
        "device",
        "is the device's model accepted?",
        _is_accepted_model,
        lambda c: (
            f"{c.facts.device_model or 'not said'}; allowed: {_list(c.terms.models_allowed, 'all')}"
            f"; refused: {_list(c.terms.models_refused, 'none')}"
        ),
    ),
    Rule(
        "device-limit",
        "is the device registered, or is there room?",
        _has_room_for_device,
        lambda c: (
            f"{'registered' if c.facts.is_registered else 'new'}, {c.facts.device_count} of "
            f"{c.plan.devices_max if c.plan else 0}"
        ),
    ),
    Rule(
        "device-key",
        "is the device's key the one it registered?",
        _has_registered_key,
        lambda c: "registered one" if c.facts.registered_public_key else "registered none",
    ),
    Rule(
        "tier",
        "is a picture left that the device may have?",
        _is_worth_watching,
        lambda c: _list(allowed_tiers(c), "none"),
    ),
    Rule(
        "concurrent-streams",
        "is a stream slot free, or made free?",
        _has_free_slot,
        lambda c: (
            f"{c.facts.stream_count} of {c.plan.streams_max if c.plan else 0}, "
            f"{c.policy.concurrency}"
        ),
    ),
)
