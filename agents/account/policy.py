"""Decides every account command: state and facts in, an `Outcome` out; no clock, no I/O.

A command whose request was applied before changes nothing and gets the same answer.
"""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from agents.account import profiles, signing
from agents.account.outcome import Outcome, changed, happened, refused, viewed
from agents.account.rules import Facts
from agents.account.state import AccountState
from schemas.accounts import (
    AccountRequest,
    CreateProfile,
    DeleteProfile,
    Done,
    EnsureAccount,
    GetAccount,
    Refresh,
    RequestPasswordReset,
    ResetPassword,
    SetSubscription,
    SignIn,
    SignOut,
    SignUp,
    Subscription,
    UpdateProfile,
)


def decide(  # noqa: PLR0911 - a dispatch has one return per command
    state: AccountState | None, command: AccountRequest, facts: Facts
) -> Outcome:
    """What the command comes to. `state` is None where there is no such account."""
    if state is not None and facts.mark in state.private.marks:
        return repeat(state, command, facts)
    match command:
        case SignUp():
            return signing.sign_up(state, command, facts)
        case SignIn():
            return signing.sign_in(state, facts)
        case Refresh():
            return signing.refresh(state, facts)
        case RequestPasswordReset():
            return signing.request_reset(state, facts)
        case ResetPassword():
            return signing.reset(state, facts)
        case EnsureAccount():
            return signing.ensure(state, command, facts)
        case _:
            return _decide_signed_in(state, command, facts)


def _decide_signed_in(  # noqa: PLR0911 - the same
    state: AccountState | None,
    command: SignOut | GetAccount | CreateProfile | UpdateProfile | DeleteProfile | SetSubscription,
    facts: Facts,
) -> Outcome:
    """Commands that need an account that is there."""
    if state is None:
        return refused(404, "unknown-account")
    match command:
        case GetAccount():
            return Outcome(viewed(state))
        case SignOut():
            return signing.sign_out(state, command, facts)
        case CreateProfile():
            return profiles.create(state, command, facts)
        case UpdateProfile():
            return profiles.update(state, command, facts)
        case DeleteProfile():
            return profiles.delete(state, command, facts)
        case SetSubscription():
            return _set_subscription(state, command, facts)
        case _:
            assert_never(command)


def _set_subscription(state: AccountState, command: SetSubscription, facts: Facts) -> Outcome:
    if command.state != "none" and command.plan not in facts.rules.plans:
        return refused(400, "unknown-plan", f"there is no plan {command.plan!r}")
    subscription = Subscription(
        plan=command.plan, state=command.state, since_ms=facts.now_ms, until_ms=command.until_ms
    )
    current = state.account.subscription
    if replace(current, since_ms=facts.now_ms) == subscription:
        return Outcome(viewed(state))
    new = changed(state, facts, account=replace(state.account, subscription=subscription))
    event = happened(new.account, "subscription_changed", facts)
    return Outcome(viewed(new), new, (event,))


def repeat(state: AccountState, command: AccountRequest, facts: Facts) -> Outcome:
    """The answer to a request that was applied before, from the state as it is now."""
    match command:
        case SignIn() | Refresh():
            return signing.grant_again(state, facts)
        case SignOut() | RequestPasswordReset() | ResetPassword():
            return Outcome(Done())
        case _:
            return Outcome(viewed(state))
