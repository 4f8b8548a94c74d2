"""Decides every license request: ledger and knowledge in, a `LicenseDecision` out; no I/O.

The decision is the record of truth: the ledger, the published session and the answer all follow
from it, so that a redelivered request gets the same answer and takes nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, assert_never

from msgspec.structs import replace

from agents.license.cases import PlayFacts
from agents.license.entitlements import KeyPlaces, asked_upstream, entitle, upstream_places
from agents.license.ledger import Ledger, Running
from agents.license.plans import LicensePolicy
from agents.license.policy import Verdict, judge
from agents.license.rentals import played
from agents.license.revocations import Revocations
from schemas.accounts import CANARY_PLAN, Account
from schemas.catalog import Tier, Title
from schemas.licenses import DecisionFacts, DenialReason, LicenseDecision
from schemas.sessions import (
    EndSession,
    ExtendSession,
    GetEntitlement,
    GetKeys,
    OpenSession,
    RemoveDevice,
    Session,
)

Licensing = GetKeys | GetEntitlement
"""Requests for keys, or for leave to license them."""
Deciding = OpenSession | ExtendSession | EndSession | Licensing | RemoveDevice
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
    revocations: Revocations = field(default_factory=Revocations)


def action_of(request: Deciding) -> Action:
    """The decision's word for the request."""
    match request:
        case OpenSession():
            return "open"
        case ExtendSession():
            return "extend"
        case EndSession():
            return "end"
        case GetKeys() | GetEntitlement():
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
    return replace(
        decision,
        outcome="denied",
        reason=reason,
        key_ids_granted=(),
        session=None,
        rental=None,
        stopped_session_ids=(),
    )


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
        anonymizers=request.anonymizers,
        known_device_ids=frozenset(ledger.household(request.account_id).devices),
        registered_public_key=ledger.public_key(request.account_id, request.device.device_id),
        other_session_ids=ledger.slots(
            request.account_id, asking.now_ms, without=request.session_id
        ),
        rental=ledger.rental(request.account_id, request.content_id),
        revoked=knowledge.revocations.of_viewer(request.account_id, request.device),
        token_version=request.token_version,
        unlocked_pin_set_at_ms=request.unlocked_pin_set_at_ms,
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
        expires_at_ms=_expiry(verdict, knowledge, asking),
    )
    return _judged(request, knowledge, asking, verdict, session)


def _within_session(
    ledger: Ledger,
    request: ExtendSession | EndSession | Licensing,
    knowledge: Knowledge,
    asking: Asking,
) -> LicenseDecision:
    running = ledger.session(request.account_id, request.session_id)
    if running is None:
        return _decision(request, knowledge, asking, reason="unknown-session")
    about = (running.session.profile_id, running.session.content_id)
    if isinstance(request, EndSession):
        return _decision(request, knowledge, asking, granted_as="ended", about=about)
    if running.is_ended or asking.now_ms >= running.session.expires_at_ms:
        over: DenialReason = "session-ended" if running.is_ended else "session-expired"
        return _decision(request, knowledge, asking, reason=over, about=about)
    facts = _facts_of(ledger, running, request, knowledge, asking)
    verdict = judge(facts)
    if isinstance(request, GetKeys):
        return _license(request, running, knowledge, asking, verdict)
    if isinstance(request, GetEntitlement):
        return _upstream_license(request, running, knowledge, asking, verdict)
    session = replace(
        running.session,
        tiers=verdict.tiers,
        max_height=verdict.max_height,
        max_bitrate_kbps=verdict.max_bitrate_kbps,
        plan=verdict.facts.plan,
        expires_at_ms=_expiry(verdict, knowledge, asking),
    )
    return _judged(request, knowledge, asking, verdict, session)


def _facts_of(
    ledger: Ledger,
    running: Running,
    request: ExtendSession | Licensing,
    knowledge: Knowledge,
    asking: Asking,
) -> PlayFacts:
    """The session judged anew: no license without a fresh entitlement and a slot."""
    session = running.session
    return PlayFacts(
        now_ms=asking.now_ms,
        policy=knowledge.policy,
        account=knowledge.account,
        profile_id=session.profile_id,
        title=knowledge.titles.get(session.content_id),
        device=session.device,
        region=request.region or session.region,
        anonymizers=request.anonymizers,
        known_device_ids=frozenset(ledger.household(session.account_id).devices),
        registered_public_key=ledger.public_key(session.account_id, session.device.device_id),
        other_session_ids=ledger.slots(
            session.account_id, asking.now_ms, without=session.session_id
        ),
        rental=ledger.rental(session.account_id, session.content_id),
        revoked=knowledge.revocations.of_session(session),
        is_opening=False,
        opened_at_ms=session.opened_at_ms,
    )


def _license(
    request: GetKeys,
    running: Running,
    knowledge: Knowledge,
    asking: Asking,
    verdict: Verdict,
) -> LicenseDecision:
    """The entitled subset of the asked keys; nothing where none is, or one is foreign."""
    reason = verdict.reason
    if reason is None and (request.system == "device") != bool(running.session.device.public_key):
        reason = "device-bound"
    known = knowledge.key_tiers
    return _licensed(request, running, knowledge, asking, verdict, request.key_ids, known, reason)


def _upstream_license(
    request: GetEntitlement,
    running: Running,
    knowledge: Knowledge,
    asking: Asking,
    verdict: Verdict,
) -> LicenseDecision:
    """All of the asked keys, or nothing: what the upstream makes of a part is its own affair."""
    title = knowledge.titles.get(running.session.content_id)
    places = upstream_places(title, knowledge.key_tiers)
    asked = asked_upstream(request, title, places, _tiers(running, verdict, request))
    decision = _licensed(
        request, running, knowledge, asking, verdict, asked, places, verdict.reason
    )
    if decision.outcome == "denied":
        return decision
    if decision.key_ids_granted != asked:
        are_revoked = any(map(knowledge.revocations.has_key, asked))
        return refused(decision, "revoked" if are_revoked else "tier")
    policy = knowledge.policy
    terms = policy.terms_of(running.session.content_id)
    ends = [asking.now_ms + terms.license_ms]
    if not terms.is_persistent:
        ends.append(running.session.expires_at_ms)
    until = (verdict.rights_until_ms, decision.rental.ends_at_ms if decision.rental else None)
    ends += [at_ms for at_ms in until if at_ms is not None]
    return entitle(decision, request, places, policy, min(ends))


def _licensed(
    request: Licensing,
    running: Running,
    knowledge: Knowledge,
    asking: Asking,
    verdict: Verdict,
    asked: tuple[str, ...],
    places: KeyPlaces,
    reason: DenialReason | None,
) -> LicenseDecision:
    session, tiers = running.session, _tiers(running, verdict, request)
    known = [places.get(key_id) for key_id in asked]
    is_revoked = knowledge.revocations.has_key
    granted = tuple(
        key_id
        for key_id, place in zip(asked, known, strict=True)
        if place is not None and place[0] == session.content_id and place[1] in tiers
        if not is_revoked(key_id)
    )
    if reason is None and (not known or None in known):
        reason = "unknown-key"
    elif reason is None and any(place and place[0] != session.content_id for place in known):
        reason = "foreign-key"
    elif reason is None and not granted:
        reason = "revoked" if any(map(is_revoked, asked)) else "tier"
    decision = _decision(
        request,
        knowledge,
        asking,
        reason=reason,
        facts=replace(
            verdict.facts,
            session_tiers=session.tiers,
            tiers_asked=tuple(
                place[1]
                if place is not None and place[0] == session.content_id and not is_revoked(key_id)
                else ""
                for key_id, place in zip(asked, known, strict=True)
            ),
        ),
        about=(session.profile_id, session.content_id),
    )
    decision = replace(decision, system=request.system, tiers=tiers, key_ids_asked=asked)
    if reason is not None:
        return decision
    terms = knowledge.policy.terms_of(session.content_id)
    rental = played(verdict.rental, terms, asking.now_ms)
    return replace(decision, key_ids_granted=granted, rental=rental)


def _tiers(running: Running, verdict: Verdict, request: Licensing) -> tuple[Tier, ...]:
    """Of the session, as far as they are still allowed, and by this system."""
    allowed = verdict.tiers_for(request.system)
    return tuple(tier for tier in running.session.tiers if tier in allowed)


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
    return replace(
        decision,
        tiers=verdict.tiers,
        session=session,
        rental=verdict.rental,
        stopped_session_ids=verdict.stopped_session_ids,
    )


def _expiry(verdict: Verdict, knowledge: Knowledge, asking: Asking) -> int:
    """The end of the token or of the right, whatever comes first."""
    ends_at_ms = asking.now_ms + knowledge.policy.session_ms
    return (
        ends_at_ms if verdict.rights_until_ms is None else min(ends_at_ms, verdict.rights_until_ms)
    )


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
