"""Subscriptions: what billing or an operator says about them, in whatever order it arrives.

Every billing event says the whole subscription, so the one that happened last is what counts: of
two of the same moment the one with the greater id. What arrives late or twice changes nothing.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Literal

from msgspec.structs import replace

from agents.account.outcome import Outcome, changed, happened, refused, viewed
from agents.account.rules import Facts
from agents.account.state import AccountState
from schemas.accounts import ApplyBillingEvent, BillingOutcome, SetSubscription
from schemas.subscriptions import BILLING_STATES, Subscription


def set_subscription(state: AccountState, command: SetSubscription, facts: Facts) -> Outcome:
    """As it is from now on; what billing told of before now is outdated then."""
    if command.state != "none" and command.plan not in facts.rules.plans:
        return refused(400, "unknown-plan", f"there is no plan {command.plan!r}")
    subscription = Subscription(
        plan=command.plan, state=command.state, since_ms=facts.now_ms, until_ms=command.until_ms
    )
    is_same = replace(state.account.subscription, since_ms=facts.now_ms) == subscription
    if is_same and not state.private.billing_marks:
        return Outcome(viewed(state, facts))
    private = replace(state.private, billing_at_ms=facts.now_ms, billing_event_id="")
    account = replace(state.account, subscription=subscription)
    new = changed(state, facts, account=account, private=private)
    event = happened(
        new.account, "subscription_changed", facts, by=command.by, by_name=command.by_name
    )
    return Outcome(viewed(new, facts), new, (event,))


def apply_billing_event(state: AccountState, command: ApplyBillingEvent, facts: Facts) -> Outcome:
    """The subscription that billing told of, unless it told of a later one before."""
    if command.plan not in facts.rules.plans:
        return refused(400, "unknown-plan", f"there is no plan {command.plan!r}")
    private, mark = state.private, _mark(command)
    if mark in private.billing_marks:
        return Outcome(outcome_of(state, "repeated"))
    if (command.occurred_at_ms, command.event_id) <= (
        private.billing_at_ms,
        private.billing_event_id,
    ):
        return Outcome(outcome_of(state, "outdated"))
    subscription = Subscription(
        plan=command.plan,
        state=BILLING_STATES[command.event_type],
        since_ms=command.occurred_at_ms,
        until_ms=command.until_ms,
    )
    marks = (*private.billing_marks, mark)[-facts.rules.marks_max :]
    new = changed(
        state,
        facts,
        account=replace(state.account, subscription=subscription),
        private=replace(
            private,
            billing_at_ms=command.occurred_at_ms,
            billing_event_id=command.event_id,
            billing_marks=marks,
        ),
    )
    event = happened(
        new.account, "subscription_changed", facts, by="billing", by_name=command.event_id
    )
    return Outcome(outcome_of(new, "applied"), new, (event,))


def outcome_of(
    state: AccountState, outcome: Literal["applied", "repeated", "outdated"]
) -> BillingOutcome:
    """The answer to a billing event: what it came to, and the subscription as it is told now."""
    return BillingOutcome(outcome=outcome, subscription=state.account.subscription)


def _mark(command: ApplyBillingEvent) -> str:
    return sha256(command.event_id.encode()).hexdigest()[:16]
