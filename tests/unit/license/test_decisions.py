from __future__ import annotations

import dataclasses

import pytest
from msgspec.structs import replace

from agents.license.answers import controls_of, refusal, session_claims, sessions_of
from agents.license.decisions import decide, refused
from agents.license.ledger import Ledger
from agents.license.plans import POLICY
from agents.license.upkeep import lapse
from schemas.accounts import CANARY_PLAN
from schemas.licenses import LicenseDecision
from schemas.sessions import Device, EndSession, ExtendSession, GetKeys, RemoveDevice
from tests.builders import NOW_MS, a_title
from tests.unit.license.facts import (
    KEY_TIERS,
    an_account,
    an_open,
    asking,
    some_knowledge,
)

AUDIO, SD, HD, FOREIGN = sorted(KEY_TIERS)
OPEN = "session-1"


@pytest.fixture
def ledger() -> Ledger:
    """A ledger in which `session-1` is open."""
    ledger = Ledger(lease_ms=POLICY.lease_ms)
    ledger.apply(decide(ledger, an_open(1), some_knowledge(), asking(1)))
    return ledger


def keys(ledger: Ledger, *key_ids: str, plan: str = "standard", number: int = 2) -> LicenseDecision:
    request = GetKeys(account_id="account-1", session_id=OPEN, key_ids=key_ids)
    return decide(ledger, request, some_knowledge(an_account(plan)), asking(number))


def test_a_license_grants_the_entitled_subset_and_records_what_was_asked(ledger: Ledger) -> None:
    decision = keys(ledger, AUDIO, SD, HD)
    assert decision.key_ids_granted == (AUDIO, SD, HD)
    lowered = keys(ledger, AUDIO, SD, HD, plan="basic")
    assert lowered.key_ids_granted == (AUDIO, SD)
    assert lowered.key_ids_asked == (AUDIO, SD, HD)


@pytest.mark.parametrize(
    ("asked", "plan", "reason", "told"),
    [
        ((AUDIO, FOREIGN), "standard", "foreign-key", "foreign-key"),
        ((AUDIO, "e" * 32), "standard", "unknown-key", "foreign-key"),
        ((), "standard", "unknown-key", "foreign-key"),
        ((HD,), "basic", "tier", "tier"),
        ((AUDIO,), "none", "plan", "plan"),
    ],
)
def test_a_license_is_denied_with_its_reason(
    ledger: Ledger, asked: tuple[str, ...], plan: str, reason: str, told: str
) -> None:
    decision = keys(ledger, *asked, plan=plan)
    assert (decision.outcome, decision.reason) == ("denied", reason)
    assert decision.key_ids_granted == ()
    assert (refusal(decision).status, refusal(decision).reason) == (403, told)


def test_a_session_is_another_accounts_unknown_one(ledger: Ledger) -> None:
    request = GetKeys(account_id="account-2", session_id=OPEN, key_ids=(SD,))
    assert decide(ledger, request, some_knowledge(), asking(2)).reason == "unknown-session"
    taken = an_open(1, account_id="account-2")
    assert decide(ledger, taken, some_knowledge(), asking(3)).reason == "unknown-session"


def test_an_ended_or_expired_session_gets_no_license_and_no_extension(ledger: Ledger) -> None:
    extend = ExtendSession(account_id="account-1", session_id=OPEN)
    late = asking(2, now_ms=NOW_MS + POLICY.session_ms)
    assert decide(ledger, extend, some_knowledge(), late).reason == "session-expired"
    end = EndSession(account_id="account-1", session_id=OPEN)
    ledger.apply(decide(ledger, end, some_knowledge(), asking(3)))
    assert keys(ledger, SD, number=4).reason == "session-ended"
    assert decide(ledger, extend, some_knowledge(), asking(5)).reason == "session-ended"
    assert decide(ledger, an_open(1), some_knowledge(), asking(6)).reason == "session-ended"


def test_a_license_needs_an_entitlement_that_holds_now(ledger: Ledger) -> None:
    request = GetKeys(account_id="account-1", session_id=OPEN, key_ids=(SD,))
    cancelled = some_knowledge(an_account(state="cancelled"))
    denied = decide(ledger, request, cancelled, asking(2))
    assert refusal(denied).status == 402
    abroad = replace(request, region="FR")
    only_here = some_knowledge(tears=a_title(regions=("DE",)))
    assert decide(ledger, abroad, only_here, asking(3)).reason == "region"


def test_an_extension_is_judged_where_the_viewer_is_now(ledger: Ledger) -> None:
    policy = replace(
        POLICY, terms=replace(POLICY.terms, regions_allowed=("DE",), anonymizers_refused=("vpn",))
    )
    knowledge = dataclasses.replace(some_knowledge(), policy=policy)
    extend = ExtendSession(account_id="account-1", session_id=OPEN, region="DE", anonymizers=())
    assert decide(ledger, extend, knowledge, asking(2)).outcome == "granted"
    assert decide(ledger, replace(extend, region="FR"), knowledge, asking(3)).reason == "region"
    hidden = replace(extend, anonymizers=("hosting", "vpn"))
    assert decide(ledger, hidden, knowledge, asking(4)).reason == "anonymizer"
    license_ = GetKeys(account_id="account-1", session_id=OPEN, key_ids=(SD,), anonymizers=("vpn",))
    assert decide(ledger, license_, knowledge, asking(5)).reason == "anonymizer"


def test_a_session_whose_slot_went_to_another_gets_no_license(ledger: Ledger) -> None:
    later = NOW_MS + POLICY.lease_ms
    for number in (2, 3):
        decision = decide(ledger, an_open(number), some_knowledge(), asking(number, now_ms=later))
        assert decision.outcome == "granted"
        ledger.apply(decision)
    request = GetKeys(account_id="account-1", session_id=OPEN, key_ids=(SD,))
    denied = decide(ledger, request, some_knowledge(), asking(4, now_ms=later))
    told = refusal(denied)
    assert told.reason == "concurrent-streams"
    assert told.facts == {"limit": 2, "sessions": ["session-2", "session-3"]}


def test_a_retried_open_keeps_its_slot_and_device(ledger: Ledger) -> None:
    again = decide(ledger, an_open(1), some_knowledge(an_account("basic")), asking(2))
    assert again.outcome == "granted"
    ledger.apply(again)
    assert ledger.slots("account-1", NOW_MS) == (OPEN,)
    assert len(ledger.household("account-1").devices) == 1


def test_the_token_ends_with_the_window_or_the_subscription() -> None:
    ledger = Ledger(lease_ms=POLICY.lease_ms)
    title = a_title(available_until_ms=NOW_MS + 60_000)
    decision = decide(ledger, an_open(1), some_knowledge(tears=title), asking(1))
    claims = session_claims(decision)
    assert claims.exp == (NOW_MS + 60_000) // 1000
    assert claims.iat == NOW_MS // 1000
    assert (claims.sid, claims.jti) == (OPEN, "decision-1")


def test_a_stopped_stream_is_published_and_refused_beside_the_one_that_stopped_it(
    ledger: Ledger,
) -> None:
    policy = replace(POLICY, concurrency="stop-oldest")
    knowledge = dataclasses.replace(some_knowledge(an_account("basic")), policy=policy)
    decision = decide(ledger, an_open(2), knowledge, asking(2, now_ms=NOW_MS + 5))
    assert decision.stopped_session_ids == (OPEN,)
    ledger.apply(decision)
    for _ in range(2):  # a redelivered decision tells the same again
        sessions = sessions_of(decision, ledger.household("account-1"))
        assert [(s.session_id, s.ended_reason) for s in sessions] == [
            ("session-2", ""),
            (OPEN, "stopped-by-newer"),
        ]
        assert [c.session_id for c in controls_of(sessions)] == [OPEN]
    assert keys(ledger, SD, number=3).reason == "session-ended"


def test_hd_keys_are_not_given_in_clear_where_the_terms_forbid_it() -> None:
    """HD is left out of the session, so that no license lacks a key that its manifest names."""
    ledger = Ledger(lease_ms=POLICY.lease_ms)
    policy = replace(POLICY, terms=replace(POLICY.terms, clear_key_tiers=("audio", "sd")))
    knowledge = dataclasses.replace(some_knowledge(), policy=policy)
    opened = decide(ledger, an_open(1), knowledge, asking(1))
    assert opened.tiers == ("audio", "sd")
    able = an_open(2, device=Device(device_id="device-1", robustness="hardware"))
    opened = decide(ledger, able, knowledge, asking(2))
    assert opened.tiers == ("audio", "sd", "hd")
    ledger.apply(opened)
    request = GetKeys(account_id="account-1", session_id="session-2", key_ids=(AUDIO, SD, HD))
    licensed = decide(ledger, request, knowledge, asking(3))
    assert licensed.key_ids_granted == (AUDIO, SD)
    assert licensed.facts.tiers_asked == ("audio", "sd", "hd")


def test_removing_a_device_ends_its_sessions_and_refuses_them(ledger: Ledger) -> None:
    other = an_open(2, device=Device(device_id="device-2"))
    ledger.apply(decide(ledger, other, some_knowledge(), asking(2)))
    remove = RemoveDevice(account_id="account-1", device_id="device-1")
    decision = decide(ledger, remove, some_knowledge(), asking(3, now_ms=NOW_MS + 5))
    ledger.apply(decision)
    sessions = sessions_of(decision, ledger.household("account-1"))
    assert [(s.session_id, s.ended_reason) for s in sessions] == [(OPEN, "device-removed")]
    assert [c.session_id for c in controls_of(sessions)] == [OPEN]
    assert ledger.slots("account-1", NOW_MS + 5) == ("session-2",)


def test_a_failed_key_service_turns_a_grant_into_a_refusal(ledger: Ledger) -> None:
    denied = refused(keys(ledger, SD), "key-service")
    assert denied.key_ids_granted == ()
    assert (refusal(denied).status, refusal(denied).reason) == (503, "key-service")


def test_what_the_canary_does_is_marked_and_nothing_else_is() -> None:
    ledger = Ledger(lease_ms=POLICY.lease_ms)
    canary = some_knowledge(an_account(CANARY_PLAN))
    opened = decide(ledger, an_open(1), canary, asking(1))
    assert (opened.outcome, opened.canary) == ("granted", True)
    ledger.apply(opened)
    running = ledger.session("account-1", OPEN)
    assert running is not None
    assert lapse(running, POLICY, asking(2)).canary
    assert not decide(Ledger(lease_ms=1), an_open(1), some_knowledge(), asking(1)).canary
