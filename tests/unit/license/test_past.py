"""Past decisions judged again: by their facts alone, and nothing is guessed."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agents.license.decisions import decide
from agents.license.ledger import Ledger
from agents.license.past import Before, Rejudged, rejudge
from agents.license.plans import POLICY, LicensePolicy, Terms
from schemas.licenses import DecisionFacts, LicenseDecision, Rental
from schemas.sessions import Device, EndSession, GetEntitlement, GetKeys
from tests.builders import HD_KEY, NOW_MS, SD_KEY, a_title
from tests.unit.license.facts import KEY_TIERS, an_account, an_open, asking, some_knowledge
from tests.unit.license.test_ledger_properties import LATE, REQUESTS, Live, stories

AUDIO, SD, HD, _ = sorted(KEY_TIERS)
HOUR_MS = 3_600_000
FIRST_FACTS = (
    *("plan", "subscription_state", "region", "title_regions", "title_maturity"),
    *("available_from_ms", "available_until_ms", "profile_maturity", "device_id", "device_model"),
    *("device_count", "device_limit", "stream_count", "stream_limit", "running_session_ids"),
    *("title_version", "account_version", "max_height"),
)


def on_terms(**terms: Any) -> LicensePolicy:
    return replace(POLICY, terms=Terms(**terms))


def with_plan(name: str, **changes: Any) -> LicensePolicy:
    return replace(POLICY, plans={**POLICY.plans, name: replace(POLICY.plans[name], **changes)})


def an_opening(
    policy: LicensePolicy = POLICY, *, plan: str = "standard", title: Any = None, **changes: Any
) -> LicenseDecision:
    knowledge = some_knowledge(an_account(plan), tears=title or a_title())
    knowledge = dataclasses.replace(knowledge, policy=policy)
    ledger = Ledger(lease_ms=policy.lease_ms)
    return decide(ledger, an_open(1, **changes), knowledge, asking(1))


def a_license(request: Any, *, plan: str = "standard") -> LicenseDecision:
    ledger = Ledger(lease_ms=POLICY.lease_ms)
    knowledge = some_knowledge(an_account(plan))
    ledger.apply(decide(ledger, an_open(1), knowledge, asking(1)))
    return decide(ledger, request, knowledge, asking(2))


def clear_keys(*key_ids: str) -> GetKeys:
    return GetKeys(account_id="account-1", session_id="session-1", key_ids=key_ids)


def again(decision: LicenseDecision, policy: LicensePolicy, before: Any = None) -> Rejudged:
    found = rejudge(decision, policy, before)
    assert found is not None
    return found


def of_before(decision: LicenseDecision) -> LicenseDecision:
    """As it was written when there were fewer facts."""
    kept = {name: getattr(decision.facts, name) for name in FIRST_FACTS}
    return replace(decision, facts=DecisionFacts(**kept))


@pytest.mark.parametrize(
    ("policy", "change", "rule"),
    [
        (POLICY, "same", ""),
        (on_terms(regions_refused=("DE",)), "loses", "region"),
        (on_terms(maturity=21), "loses", "maturity"),
        (on_terms(models_allowed=("AFT*",)), "loses", "device"),
        (with_plan("standard", streams_max=0), "loses", "concurrent-streams"),
        (with_plan("standard", devices_max=0), "loses", "device-limit"),
        (replace(POLICY, playing_states=frozenset({"trial"})), "loses", "subscription"),
        (replace(POLICY, plans={"basic": POLICY.plans["basic"]}), "loses", "plan"),
        (with_plan("standard", tiers=("audio", "sd")), "worse", "tier"),
        (with_plan("standard", max_height=720), "worse", "height"),
        (with_plan("standard", max_bitrate_kbps=5_000), "worse", "bitrate"),
        (with_plan("standard", max_bitrate_kbps=0), "better", "bitrate"),
        (with_plan("standard", max_height=2160), "better", "height"),
        (replace(POLICY, session_ms=HOUR_MS), "worse", "expiry"),
        (on_terms(rental_ms=HOUR_MS), "worse", "expiry"),
        (on_terms(clear_key_tiers=("audio", "sd")), "worse", "tier"),
    ],
)
def test_what_was_granted_is_told_by_the_rule_that_changes_it(
    policy: LicensePolicy, change: str, rule: str
) -> None:
    found = again(an_opening(), policy)
    assert (found.change, found.rule, found.lacks) == (change, rule, ())


@pytest.mark.parametrize(
    ("was", "policy", "change", "rule"),
    [
        (on_terms(regions_refused=("DE",)), POLICY, "gains", "region"),
        (on_terms(regions_refused=("DE",)), on_terms(maturity=21), "same", "maturity"),
        (on_terms(maturity=21), on_terms(maturity=20), "same", "maturity"),
        (with_plan("standard", streams_max=0), POLICY, "gains", "concurrent-streams"),
        (on_terms(tiers=("audio",)), POLICY, "gains", "tier"),
    ],
)
def test_what_was_denied_is_gained_where_every_rule_is_met(
    was: LicensePolicy, policy: LicensePolicy, change: str, rule: str
) -> None:
    decision = an_opening(was)
    assert decision.outcome == "denied"
    found = again(decision, policy)
    assert (found.change, found.rule) == (change, rule)


@pytest.mark.parametrize(
    ("request_", "policy", "change"),
    [
        (clear_keys(AUDIO, SD, HD), on_terms(clear_key_tiers=("audio", "sd")), "worse"),
        (clear_keys(HD), on_terms(clear_key_tiers=("audio", "sd")), "loses"),
        (clear_keys(SD), on_terms(clear_key_tiers=("audio", "sd")), "same"),
        (
            GetEntitlement(
                account_id="account-1",
                session_id="session-1",
                system="widevine",
                key_ids=(SD_KEY, HD_KEY),
            ),
            replace(POLICY, protections={"sd": POLICY.protections["sd"]}),
            "loses",
        ),
    ],
)
def test_a_license_is_compared_by_the_tiers_of_the_keys_it_asked_for(
    request_: Any, policy: LicensePolicy, change: str
) -> None:
    found = again(a_license(request_), policy)
    assert (found.change, found.rule) == (change, "" if change == "same" else "tier")


def test_a_license_gains_what_its_session_would_have_had() -> None:
    decision = a_license(clear_keys(SD, HD), plan="basic")
    assert decision.key_ids_granted == (SD,)
    more = with_plan("basic", tiers=("audio", "sd", "hd"), max_height=1080)
    assert again(decision, more).change == "same", "its session had no HD"
    opened = again(an_opening(plan="basic"), more)
    before = Before(session_tiers=opened.session_tiers)
    assert again(decision, more, before).change == "better"


def test_what_no_policy_decides_is_left_out() -> None:
    ledger = Ledger(lease_ms=POLICY.lease_ms)
    end = EndSession(account_id="account-1", session_id="session-1")
    unknown = decide(ledger, end, some_knowledge(), asking(1))
    assert rejudge(unknown, POLICY) is None
    assert rejudge(a_license(clear_keys("d" * 32)), POLICY) is None
    assert rejudge(an_opening(profile_id="nobody's"), POLICY) is None


def test_a_fact_that_nobody_looked_up_is_lacking_only_where_it_decides() -> None:
    refusing = on_terms(anonymizers_refused=("vpn",))
    assert again(an_opening(), POLICY).lacks == ()
    assert again(an_opening(), refusing).lacks == ("anonymizers",)
    assert again(an_opening(anonymizers=("tor",)), refusing).change == "same"
    assert again(an_opening(anonymizers=("vpn",)), refusing).rule == "anonymizer"
    also = replace(refusing, plans={"basic": POLICY.plans["basic"]})
    assert again(an_opening(), also).rule == "plan", "denied whatever the address was"


@pytest.mark.parametrize(
    ("policy", "change", "lacks"),
    [
        (POLICY, "same", ()),
        (on_terms(regions_refused=("DE",)), "loses", ()),
        (
            with_plan("standard", tiers=("audio", "sd")),
            "undecided",
            ("tier_heights", "tiers_asked"),
        ),
        (on_terms(rental_ms=HOUR_MS), "undecided", ("rental",)),
        (with_plan("standard", devices_max=0), "undecided", ("is_registered",)),
        (replace(POLICY, lease_ms=60_000), "undecided", ("stream_count",)),
        (replace(POLICY, lease_ms=15_000), "same", ()),
        (replace(POLICY, playing_states=frozenset({"trial"})), "loses", ()),
    ],
)
def test_an_old_decision_tells_what_it_lacks(
    policy: LicensePolicy, change: str, lacks: tuple[str, ...]
) -> None:
    found = again(of_before(an_opening()), policy)
    assert (found.change, found.lacks) == (change, lacks)


@pytest.mark.parametrize(
    ("was", "policy", "lacks"),
    [
        (
            {"plan": "gold"},
            {"plans": {**POLICY.plans, "gold": POLICY.plans["basic"]}},
            "title_plans",
        ),
        (
            {"policy": replace(POLICY, playing_states=frozenset({"trial"}))},
            {},
            "subscription_until_ms",
        ),
    ],
)
def test_an_old_denial_does_not_prove_that_it_would_be_granted(
    was: dict[str, Any], policy: dict[str, Any], lacks: str
) -> None:
    found = again(of_before(an_opening(**was)), replace(POLICY, **policy))
    assert found.change == "undecided"
    assert lacks in found.lacks


def test_a_rental_begins_at_the_first_sight_that_is_judged() -> None:
    rented = on_terms(rental_ms=HOUR_MS)
    first = again(an_opening(), rented)
    assert first.rental == Rental(first_seen_at_ms=NOW_MS, rented_until_ms=NOW_MS + HOUR_MS)
    late = replace(an_opening(), decided_at_ms=NOW_MS + HOUR_MS)
    assert again(late, rented, Before(rental=first.rental)).rule == "rental"


@settings(max_examples=60)
@given(
    plan=st.sampled_from(("basic", "standard", "premium")),
    story=stories((*REQUESTS, *LATE)),
    concurrency=st.sampled_from(("block-new", "stop-oldest")),
)
def test_under_the_policy_that_was_followed_nothing_is_another(
    plan: str, story: list[tuple[str, int, int, int]], concurrency: Any
) -> None:
    policy = replace(POLICY, concurrency=concurrency)
    live = Live(plan, policy=policy)
    for move in story:
        live.move(*move)
    for decision in live.decisions:
        found = rejudge(decision, policy)
        assert found is None or (found.change, found.stopped_count) == ("same", 0)


policies = st.builds(
    on_terms,
    regions_allowed=st.sampled_from([(), ("DE",), ("AT",)]),
    anonymizers_refused=st.sampled_from([(), ("vpn",)]),
    maturity=st.sampled_from([None, 6, 21]),
    models_refused=st.sampled_from([(), ("old*",)]),
    tiers=st.sampled_from([("audio", "sd"), ("audio", "sd", "hd"), ("audio",)]),
    clear_key_tiers=st.sampled_from([("audio", "sd"), ("audio", "sd", "hd")]),
    plans=st.sampled_from([None, (), ("premium",)]),
)


@given(
    was=policies,
    now=policies,
    plan=st.sampled_from(["basic", "standard", "premium"]),
    anonymizers=st.sampled_from([(), ("vpn",)]),
    device=st.builds(
        Device,
        device_id=st.just("device-1"),
        model=st.sampled_from(["", "old-1", "new"]),
        robustness=st.sampled_from(["", "hardware"]),
    ),
    regions=st.sampled_from([(), ("DE",), ("FR",)]),
)
def test_judged_again_it_is_what_the_other_policy_would_have_decided(
    was: LicensePolicy,
    now: LicensePolicy,
    plan: str,
    anonymizers: Any,
    device: Device,
    regions: tuple[str, ...],
) -> None:
    given_ = {"plan": plan, "anonymizers": anonymizers, "device": device}
    title = a_title(regions=regions)
    then, instead = (an_opening(policy, title=title, **given_) for policy in (was, now))
    found = again(then, now)
    assert found.lacks == ()
    outcomes = (then.outcome, instead.outcome)
    if outcomes == ("granted", "denied"):
        assert (found.change, found.rule) == ("loses", instead.reason)
    elif outcomes == ("denied", "granted"):
        assert (found.change, found.rule) == ("gains", then.reason)
    elif outcomes == ("denied", "denied"):
        assert found.change == "same"
    else:
        assert (found.change == "same") == (then.tiers == instead.tiers)
