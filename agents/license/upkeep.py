"""What nobody asks for: slots taken again after they lapsed, sessions left idle or cut off."""

from __future__ import annotations

from agents.license.decisions import Action, Asking
from agents.license.ledger import Ledger, Running
from agents.license.plans import LicensePolicy
from schemas.accounts import CANARY_PLAN, Account
from schemas.licenses import FACTS_REVISION, DecisionFacts, LicenseDecision


def resume(
    ledger: Ledger, running: Running, account: Account | None, policy: LicensePolicy, asking: Asking
) -> LicenseDecision:
    """Traffic after the slot lapsed: it is taken again where one is free, else the session ends."""
    session = running.session
    others = ledger.slots(session.account_id, asking.now_ms, without=session.session_id)
    limit = policy.streams_max(account)
    facts = DecisionFacts(
        revision=FACTS_REVISION,
        plan=account.subscription.plan if account is not None else "",
        stream_count=len(others),
        stream_limit=limit,
        running_session_ids=others,
        lease_ms=policy.lease_ms,
        account_version=account.version if account is not None else 0,
    )
    reason = "ok" if len(others) < limit else "concurrent-streams"
    return _decision("resume", running, policy, asking, facts, reason)


def lapse(running: Running, policy: LicensePolicy, asking: Asking) -> LicenseDecision:
    """The session had no traffic for too long, or is over its time."""
    is_over = asking.now_ms >= running.session.expires_at_ms
    reason = "expired" if is_over else "idle"
    return _decision("lapse", running, policy, asking, DecisionFacts(), reason)


def cut_off(
    running: Running, policy: LicensePolicy, asking: Asking, reason: str
) -> LicenseDecision:
    """It may not go on: `signed-out` everywhere after it was opened, or `revoked`."""
    return _decision("end", running, policy, asking, DecisionFacts(), reason)


def _decision(
    action: Action,
    running: Running,
    policy: LicensePolicy,
    asking: Asking,
    facts: DecisionFacts,
    reason: str,
) -> LicenseDecision:
    session = running.session
    return LicenseDecision(
        decision_id=asking.decision_id,
        request_id=asking.request_id,
        action=action,
        outcome="denied" if reason == "concurrent-streams" else "granted",
        reason=reason,
        account_id=session.account_id,
        session_id=session.session_id,
        profile_id=session.profile_id,
        content_id=session.content_id,
        facts=facts,
        policy_version=policy.version,
        decided_at_ms=asking.now_ms,
        source_partition=asking.partition,
        source_offset=asking.offset,
        canary=session.plan == CANARY_PLAN,
    )
