"""Decides every license request: ledger and knowledge in, a `LicenseDecision` out; no I/O.

The decision is the record of truth: the ledger, the published session and the answer all follow
from it, so that a redelivered request gets the same answer and takes nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, assert_never

from msgspec.structs import replace

from agents.license.ledger import Ledger, Running
from agents.license.plans import LicensePolicy
from agents.license.policy import PlayFacts, Verdict, judge
from schemas.accounts import CANARY_PLAN, Account
from schemas.catalog import Tier, Title
from schemas.licenses import DecisionFacts, DenialReason, LicenseDecision
from schemas.sessions import (
    EndSession,
    ExtendSession,
    GetKeys,
    OpenSession,
    RemoveDevice,
    Session,
)

Deciding = OpenSession | ExtendSession | EndSession | GetKeys | RemoveDevice
"""Requests that are decided, and so recorded."""

Action = Literal["open", "extend", "end", "license", "remove_device", "lapse", "resume"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One question: when and where it stands in the log, and the id its decision gets."""

    now_ms: int
    decision_id: str
    request_id: str
    partition: int = 0
    offset: int = -1
    """-1: nobody asked, time did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What the agent knows beside its ledger."""

    policy: LicensePolicy
    account: Account | None
    titles: Mapping[str, Title]
    key_tiers: Mapping[str, tuple[str, Tier]] = field(default_factory=dict)
    """Content and tier of every key id that was asked for and exists."""


def action_of(request: Deciding) -> Action:
    """The decision's word for the request."""
    match request:
        case OpenSession():
            return "open"
        case ExtendSession():
            return "extend"
        case EndSession():
            return "end"
        case GetKeys():
            return "license"
        case RemoveDevice():
            return "remove_device"
        case _:
            assert_never(request)


def decide(
    ledger: Ledger, request: Deciding, knowledge: Knowledge, asking: Asking
) -> LicenseDecision:
    """What the request comes to; the caller applies it to the ledger and publishes it."""
    decision = _decide(ledger, request, knowledge, asking)
    account = knowledge.account
    if account is not None and account.subscription.plan == CANARY_PLAN:
        return replace(decision, canary=True)
    return decision


def _decide(
    ledger: Ledger, request: Deciding, knowledge: Knowledge, asking: Asking
) -> LicenseDecision:
    match request:
        case OpenSession():
            return _open(ledger, request, knowledge, asking)
        case RemoveDevice():
            facts = DecisionFacts(device_id=request.device_id)
            return _decision(request, knowledge, asking, facts=facts)
        case _:
            return _within_session(ledger, request, knowledge, asking)


def refused(decision: LicenseDecision, reason: DenialReason) -> LicenseDecision:
    """The same decision, denied after all: the key service failed."""
    return replace(decision, outcome="denied", reason=reason, key_ids_granted=(), session=None)


def _open(
    ledger: Ledger, request: OpenSession, knowledge: Knowledge, asking: Asking
) -> LicenseDecision:
    about = (request.profile_id, request.content_id)
    if ledger.is_taken(request.account_id, request.session_id):
        return _decision(request, knowledge, asking, reason="unknown-session", about=about)
    known = ledger.session(request.account_id, request.session_id)
    if known is not None and known.is_ended:
        return _decision(request, knowledge, asking, reason="session-ended", about=about)
    facts = PlayFacts(
        now_ms=asking.now_ms,
        policy=knowledge.policy,
        account=knowledge.account,
        profile_id=request.profile_id,
        title=knowledge.titles.get(request.content_id),
        device=request.device,
        region=request.region,
        known_device_ids=frozenset(ledger.household(request.account_id).devices),
        other_session_ids=ledger.slots(
            request.account_id, asking.now_ms, without=request.session_id
        ),
    )
    verdict = judge(facts)
    session = Session(
        session_id=request.session_id,
        account_id=request.account_id,
        profile_id=request.profile_id,
        content_id=request.content_id,
        device=request.device,
        tiers=verdict.tiers,
        max_height=verdict.max_height,
        max_bitrate_kbps=verdict.max_bitrate_kbps,
        plan=verdict.facts.plan,
        region=request.region,
        asn=request.asn,
        network=request.network,
        opened_at_ms=asking.now_ms,
        expires_at_ms=_expiry(facts),
    )
    return _judged(request, knowledge, asking, verdict, session)


def _within_session(
    ledger: Ledger,
    request: ExtendSession | EndSession | GetKeys,
    knowledge: Knowledge,
    asking: Asking,
) -> LicenseDecision:
    running = ledger.session(request.account_id, request.session_id)
    if running is None:
        return _decision(request, knowledge, asking, reason="unknown-session")
    about = (running.session.profile_id, running.session.content_id)
    if isinstance(request, EndSession):
        return _decision(request, knowledge, asking, granted_as="ended", about=about)
    if running.is_ended:
        return _decision(request, knowledge, asking, reason="session-ended", about=about)
    if asking.now_ms >= running.session.expires_at_ms:
        return _decision(request, knowledge, asking, reason="session-expired", about=about)
    facts = _facts_of(ledger, running, request, knowledge, asking)
    verdict = judge(facts)
    if isinstance(request, GetKeys):
        return _license(request, running, knowledge, asking, verdict)
    session = replace(
        running.session,
        tiers=verdict.tiers,
        max_height=verdict.max_height,
        max_bitrate_kbps=verdict.max_bitrate_kbps,
        plan=verdict.facts.plan,
        expires_at_ms=_expiry(facts),
    )
    return _judged(request, knowledge, asking, verdict, session)


def _facts_of(
    ledger: Ledger,
    running: Running,
    request: ExtendSession | GetKeys,
    knowledge: Knowledge,
    asking: Asking,
) -> PlayFacts:
    """The session judged anew: no license without a fresh entitlement and a slot."""
    session = running.session
    asked_region = request.region if isinstance(request, GetKeys) else ""
    return PlayFacts(
        now_ms=asking.now_ms,
        policy=knowledge.policy,
        account=knowledge.account,
        profile_id=session.profile_id,
        title=knowledge.titles.get(session.content_id),
        device=session.device,
        region=asked_region or session.region,
        known_device_ids=frozenset(ledger.household(session.account_id).devices),
        other_session_ids=ledger.slots(
            session.account_id, asking.now_ms, without=session.session_id
        ),
    )


def _license(
    request: GetKeys,
    running: Running,
    knowledge: Knowledge,
    asking: Asking,
    verdict: Verdict,
) -> LicenseDecision:
    """The entitled subset of the asked keys; nothing where none is, or one is foreign."""
    session = running.session
    tiers = tuple(tier for tier in session.tiers if tier in verdict.tiers)
    known = [knowledge.key_tiers.get(key_id) for key_id in request.key_ids]
    granted = tuple(
        key_id
        for key_id, place in zip(request.key_ids, known, strict=True)
        if place is not None and place[0] == session.content_id and place[1] in tiers
    )
    reason: DenialReason | None = verdict.reason
    if reason is None and (not known or None in known):
        reason = "unknown-key"
    elif reason is None and any(place and place[0] != session.content_id for place in known):
        reason = "foreign-key"
    elif reason is None and not granted:
        reason = "tier"
    decision = _decision(
        request,
        knowledge,
        asking,
        reason=reason,
        facts=verdict.facts,
        about=(session.profile_id, session.content_id),
    )
    return replace(
        decision,
        system=request.system,
        tiers=tiers,
        key_ids_asked=request.key_ids,
        key_ids_granted=granted if reason is None else (),
    )


def _judged(
    request: OpenSession | ExtendSession,
    knowledge: Knowledge,
    asking: Asking,
    verdict: Verdict,
    session: Session,
) -> LicenseDecision:
    decision = _decision(
        request,
        knowledge,
        asking,
        reason=verdict.reason,
        facts=verdict.facts,
        about=(session.profile_id, session.content_id),
    )
    if not verdict.is_granted:
        return decision
    return replace(decision, tiers=verdict.tiers, session=session)


def _expiry(facts: PlayFacts) -> int:
    """The end of the token, of the window or of the subscription, whatever comes first."""
    ends = [facts.now_ms + facts.policy.session_ms]
    if facts.title is not None and facts.title.available_until_ms is not None:
        ends.append(facts.title.available_until_ms)
    if facts.account is not None and facts.account.subscription.until_ms is not None:
        ends.append(facts.account.subscription.until_ms)
    return min(ends)


def _decision(
    request: Deciding,
    knowledge: Knowledge,
    asking: Asking,
    *,
    reason: DenialReason | None = None,
    granted_as: str = "ok",
    facts: DecisionFacts | None = None,
    about: tuple[str, str] = ("", ""),
) -> LicenseDecision:
    """`about` is profile and content."""
    return LicenseDecision(
        decision_id=asking.decision_id,
        request_id=asking.request_id,
        action=action_of(request),
        outcome="granted" if reason is None else "denied",
        reason=granted_as if reason is None else reason,
        account_id=request.account_id,
        session_id="" if isinstance(request, RemoveDevice) else request.session_id,
        profile_id=about[0],
        content_id=about[1],
        facts=facts or DecisionFacts(),
        policy_version=knowledge.policy.version,
        decided_at_ms=asking.now_ms,
        source_partition=asking.partition,
        source_offset=asking.offset,
    )
