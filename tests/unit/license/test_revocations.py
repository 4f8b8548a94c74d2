"""What an operator took back: nothing is granted on it, its sessions end, and it can be lifted."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from agents.license.decisions import Deciding, Knowledge, decide
from agents.license.ledger import Ledger
from agents.license.plans import POLICY
from agents.license.policy import judge
from agents.license.revocations import Revocations
from schemas.revocations import Revocation, RevokedKind, revocation_key
from schemas.sessions import ExtendSession, GetKeys
from streams.records import Record
from streams.topics import LICENSE_DECISIONS, REVOCATIONS
from tests.builders import NOW_MS
from tests.unit.license.facts import an_open, asking, some_facts, some_knowledge
from tests.unit.license.sessions_house import House

SD, HD = "2" * 32, "3" * 32
PLACES: Any = {SD: ("tears", "sd"), HD: ("tears", "hd")}


def a_revocation(kind: RevokedKind, subject: str) -> Revocation:
    return Revocation(kind=kind, subject=subject, by="ada", at_ms=NOW_MS)


def revoked(kind: RevokedKind, subject: str) -> Revocations:
    found = Revocations()
    found.add(a_revocation(kind, subject))
    return found


def knowing(revocations: Revocations) -> Knowledge:
    known = some_knowledge()
    return Knowledge(
        policy=known.policy,
        account=known.account,
        titles=known.titles,
        key_tiers=PLACES,
        revocations=revocations,
    )


def a_record(key: str, value: Revocation | None) -> Record[Revocation | None]:
    return Record(
        topic=REVOCATIONS.name,
        partition=0,
        offset=0,
        key=key,
        value=value,
        timestamp_ms=NOW_MS,
        headers={},
    )


@pytest.mark.parametrize("kind", ["account", "device", "model", "session"])
def test_what_is_revoked_is_refused_and_the_fact_is_on_record(kind: RevokedKind) -> None:
    verdict = judge(some_facts(revoked=kind))
    assert verdict.reason == "revoked"
    assert verdict.facts.revoked == kind
    assert judge(some_facts(revoked=None)).reason is None


SUBJECTS: list[tuple[RevokedKind, str]] = [
    ("account", "account-1"),
    ("device", an_open(1).device.device_id),
    ("session", "session-1"),
]


@pytest.mark.parametrize(("kind", "subject"), SUBJECTS)
def test_a_session_gets_nothing_more_once_it_is_revoked(kind: RevokedKind, subject: str) -> None:
    ledger = Ledger(lease_ms=POLICY.lease_ms)
    ledger.apply(decide(ledger, an_open(1), knowing(Revocations()), asking(1)))
    known = knowing(revoked(kind, subject))
    keys = GetKeys(account_id="account-1", session_id="session-1", key_ids=(SD,))
    more = ExtendSession(account_id="account-1", session_id="session-1")
    requests: tuple[Deciding, ...] = (keys, more)
    for number, request in enumerate(requests, 2):
        decision = decide(ledger, request, known, asking(number))
        assert (decision.outcome, decision.reason) == ("denied", "revoked")
        assert decide(ledger, request, knowing(Revocations()), asking(number)).outcome == "granted"


@pytest.mark.parametrize(
    ("asked", "granted", "reason"),
    [((SD, HD), (SD,), "ok"), ((HD,), (), "revoked"), ((SD,), (SD,), "ok")],
)
def test_a_revoked_key_is_given_to_nobody_and_the_others_are(
    asked: tuple[str, ...], granted: tuple[str, ...], reason: str
) -> None:
    ledger = Ledger(lease_ms=POLICY.lease_ms)
    ledger.apply(decide(ledger, an_open(1), knowing(Revocations()), asking(1)))
    question = GetKeys(account_id="account-1", session_id="session-1", key_ids=asked)
    decision = decide(ledger, question, knowing(revoked("key", HD)), asking(2))
    assert (decision.key_ids_granted, decision.reason) == (granted, reason)


async def test_running_sessions_end_at_once_where_their_worker_is_and_once() -> None:
    house = House()
    house.open(1, NOW_MS - 2)
    house.open(2, NOW_MS - 1)
    revocation = a_revocation("session", "session-2")
    house.revocations.add(revocation)
    house.endings.note_revocation(revocation)
    await house.endings.end_due()
    assert [(c.session_id, c.reason) for c in house.refused] == [("session-2", "revoked")]
    house.registrar.own([])
    whole = a_revocation("account", "account-1")
    house.revocations.add(whole)
    house.endings.note_revocation(whole)
    await house.endings.end_due()
    assert len(house.refused) == 1, "another worker's account"
    house.registrar.own(range(LICENSE_DECISIONS.partitions))
    for _ in range(2):
        await house.endings.end_due()
    assert [c.session_id for c in house.refused] == ["session-2", "session-1"]


@pytest.mark.parametrize("kind", ["key", "token"])
async def test_keys_and_tokens_end_no_session(kind: RevokedKind) -> None:
    house = House()
    house.open(1, NOW_MS)
    house.revocations.add(a_revocation(kind, "session-1"))
    house.endings.note_revocation(a_revocation(kind, "session-1"))
    await house.endings.end_due()
    assert house.refused == []


def test_a_record_counts_under_its_own_key_until_it_is_removed() -> None:
    found = Revocations()
    tv = a_revocation("model", "TV: 2019")
    found.take(a_record("device:x", tv))
    assert len(found) == 0
    key = revocation_key("model", "TV: 2019")
    found.take(a_record(key, tv))
    assert found.has("model", "TV: 2019")
    assert not found.has("device", "TV: 2019")
    device = replace(an_open(1).device, model="TV: 2019")
    assert found.of_viewer("account-1", device) == "model"
    found.take(a_record(revocation_key("device", "TV: 2019"), None))
    assert len(found) == 1
    found.take(a_record(key, None))
    assert len(found) == 0
