"""Leave for upstream services: whole or not at all, and no longer than the right itself."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agents.license.answers import refusal
from agents.license.decisions import Knowledge, decide
from agents.license.ledger import Ledger
from agents.license.plans import POLICY
from schemas.catalog import Title
from schemas.licenses import Entitlement, LicenseDecision, Protection
from schemas.sessions import DRMSystem, EndSession, GetEntitlement
from tests.builders import AUDIO_KEY, HD_KEY, NOW_MS, SD_KEY, a_title
from tests.unit.license.facts import KEY_TIERS, an_account, an_open, asking, some_knowledge

ALL = (SD_KEY, HD_KEY, AUDIO_KEY)
FOREIGN = next(key_id for key_id, (content_id, _) in KEY_TIERS.items() if content_id == "other")
UNKNOWN = "e" * 32


@pytest.fixture
def ledger() -> Ledger:
    return an_open_ledger()


def an_open_ledger() -> Ledger:
    """`session-1` is open on a title whose tracks name ALL."""
    ledger = Ledger(lease_ms=POLICY.lease_ms)
    ledger.apply(decide(ledger, an_open(1), some_knowledge(), asking(1)))
    return ledger


def entitle(
    ledger: Ledger,
    *key_ids: str,
    plan: str = "standard",
    knowledge: Knowledge | None = None,
    **changes: Any,
) -> LicenseDecision:
    request = GetEntitlement(
        account_id="account-1", session_id="session-1", system="widevine", key_ids=key_ids
    )
    about = knowledge or some_knowledge(an_account(plan))
    return decide(ledger, replace(request, **changes), about, asking(2))


def told(decision: LicenseDecision) -> Entitlement:
    assert decision.outcome == "granted"
    assert decision.entitlement is not None
    return decision.entitlement


def test_what_is_entitled_is_told_with_its_terms_and_on_record(ledger: Ledger) -> None:
    decision = entitle(ledger, HD_KEY, AUDIO_KEY)
    entitlement = told(decision)
    assert (decision.action, decision.system) == ("license", "widevine")
    assert decision.key_ids_asked == decision.key_ids_granted == (HD_KEY, AUDIO_KEY)
    assert [(key.key_id, key.tier) for key in entitlement.keys] == [
        (HD_KEY, "hd"),
        (AUDIO_KEY, "audio"),
    ]
    assert entitlement.keys[0].protection == Protection(robustness="hardware", hdcp="1.4")
    assert entitlement.keys[1].protection == Protection()
    assert entitlement.decision_id == decision.decision_id
    assert entitlement.granted_at_ms == NOW_MS
    assert entitlement.expires_at_ms == NOW_MS + POLICY.session_ms
    assert not entitlement.is_persistent


@pytest.mark.parametrize(
    ("asked", "plan", "reason", "heard"),
    [
        ((SD_KEY, HD_KEY), "basic", "tier", "tier"),
        ((HD_KEY,), "basic", "tier", "tier"),
        ((SD_KEY, FOREIGN), "standard", "foreign-key", "foreign-key"),
        ((SD_KEY, UNKNOWN), "standard", "unknown-key", "foreign-key"),
        ((SD_KEY,), "none", "plan", "plan"),
    ],
)
def test_one_key_that_is_not_entitled_denies_the_request_whole(
    ledger: Ledger, asked: tuple[str, ...], plan: str, reason: str, heard: str
) -> None:
    decision = entitle(ledger, *asked, plan=plan)
    assert (decision.outcome, decision.reason) == ("denied", reason)
    assert (decision.key_ids_asked, decision.key_ids_granted) == (asked, ())
    assert decision.entitlement is None
    assert (refusal(decision).status, refusal(decision).reason) == (403, heard)


def test_a_message_that_names_no_key_asks_for_what_may_be_had_where_the_upstream_checks(
    ledger: Ledger,
) -> None:
    some = told(entitle(ledger, plan="basic", is_checked_upstream=True))
    assert [key.key_id for key in some.keys] == [SD_KEY, AUDIO_KEY]
    every = told(entitle(ledger, is_checked_upstream=False))
    assert [key.key_id for key in every.keys] == list(ALL)


def test_a_message_that_names_no_key_asks_for_all_where_nobody_checks(ledger: Ledger) -> None:
    decision = entitle(ledger, plan="basic", is_checked_upstream=False)
    assert (decision.outcome, decision.reason) == ("denied", "tier")
    assert decision.key_ids_asked == ALL


def test_a_title_without_keys_has_nothing_to_license(ledger: Ledger) -> None:
    clear = a_title(
        video=tuple(replace(r, key_id=None) for r in a_title().video),
        audio=tuple(replace(t, key_id=None) for t in a_title().audio),
    )
    denied = entitle(ledger, knowledge=some_knowledge(tears=clear), is_checked_upstream=True)
    assert denied.reason == "unknown-key"


def test_our_own_keys_keep_the_tier_that_they_were_made_for(ledger: Ledger) -> None:
    """Whatever a title's tracks say of them."""
    mislabeled = a_title(
        video=tuple(replace(r, key_id="c" * 32, tier="sd") for r in a_title().video)
    )
    knowledge = some_knowledge(an_account("basic"), tears=mislabeled)
    assert entitle(ledger, "c" * 32, knowledge=knowledge).reason == "tier"


@pytest.mark.parametrize(
    ("changes", "ends_at_ms"),
    [
        ({"available_until_ms": NOW_MS + 60_000}, NOW_MS + 60_000),
        ({"available_until_ms": NOW_MS + 10**12}, NOW_MS + POLICY.session_ms),
    ],
)
def test_a_license_ends_with_the_right(
    ledger: Ledger, changes: dict[str, Any], ends_at_ms: int
) -> None:
    title: Title = a_title(**changes)
    decision = entitle(ledger, SD_KEY, knowledge=some_knowledge(tears=title))
    assert told(decision).expires_at_ms == ends_at_ms


def test_terms_may_end_it_earlier_and_leave_a_tier_out(ledger: Ledger) -> None:
    knowledge = some_knowledge()
    terms = replace(POLICY.terms, license_ms=5_000)
    policy = replace(POLICY, terms=terms, protections={"sd": Protection()})
    strict = dataclasses.replace(knowledge, policy=policy)
    assert told(entitle(ledger, SD_KEY, knowledge=strict)).expires_at_ms == NOW_MS + 5_000
    denied = entitle(ledger, SD_KEY, HD_KEY, knowledge=strict)
    assert (denied.outcome, denied.reason, denied.key_ids_granted) == ("denied", "tier", ())


def test_an_ended_session_gets_no_leave(ledger: Ledger) -> None:
    end = EndSession(account_id="account-1", session_id="session-1")
    ledger.apply(decide(ledger, end, some_knowledge(), asking(3)))
    assert entitle(ledger, SD_KEY).reason == "session-ended"


@given(
    st.lists(st.sampled_from([*ALL, FOREIGN, UNKNOWN, *KEY_TIERS]), max_size=6, unique=True),
    st.sampled_from(["basic", "standard", "premium", "none"]),
    st.sampled_from(get_args(DRMSystem)),
    st.booleans(),
)
def test_leave_is_whole_or_none(
    key_ids: list[str], plan: str, system: DRMSystem, is_checked: bool
) -> None:
    decision = entitle(
        an_open_ledger(), *key_ids, plan=plan, system=system, is_checked_upstream=is_checked
    )
    assert (decision.entitlement is not None) == (decision.outcome == "granted")
    if decision.entitlement is None:
        assert decision.key_ids_granted == ()
        return
    entitled = tuple(key.key_id for key in decision.entitlement.keys)
    assert entitled == decision.key_ids_granted == decision.key_ids_asked
    assert not key_ids or set(entitled) == set(key_ids)
    assert {key.tier for key in decision.entitlement.keys} <= set(decision.tiers)
