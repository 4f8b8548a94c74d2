"""Decides every account command: state and facts in, an `Outcome` out; no clock, no I/O.

A command whose request was applied before changes nothing and gets the same answer.
"""

from __future__ import annotations

from typing import assert_never

from agents.account import devices, erasing, pins, profiles, signing, subscriptions
from agents.account.outcome import Outcome, refused, viewed
from agents.account.rules import Facts
from agents.account.state import AccountState
from schemas.accounts import (
    AccountRequest,
    ApplyBillingEvent,
    CreateProfile,
    DeleteProfile,
    Done,
    EnsureAccount,
    EraseAccount,
    GetAccount,
    GetDeviceNames,
    NameDevice,
    Refresh,
    RequestPasswordReset,
    ResetPassword,
    SetPin,
    SetSubscription,
    SignIn,
    SignOut,
    SignUp,
    UnlockProfile,
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
        case EraseAccount():
            return erasing.erase(state, facts)
        case _:
            return _decide_signed_in(state, command, facts)


SignedIn = (
    SignOut
    | GetAccount
    | CreateProfile
    | UpdateProfile
    | DeleteProfile
    | SetPin
    | UnlockProfile
    | NameDevice
    | GetDeviceNames
    | SetSubscription
    | ApplyBillingEvent
)
"""Commands that need an account that is there."""


def _decide_signed_in(  # noqa: PLR0911, PLR0912 - the same
    state: AccountState | None, command: SignedIn, facts: Facts
) -> Outcome:
    if state is None:
        return refused(404, "unknown-account")
    match command:
        case GetAccount():
            return Outcome(viewed(state, facts))
        case SignOut():
            return signing.sign_out(state, command, facts)
        case CreateProfile():
            return profiles.create(state, command, facts)
        case UpdateProfile():
            return profiles.update(state, command, facts)
        case DeleteProfile():
            return profiles.delete(state, command, facts)
        case SetPin():
            return pins.set_pin(state, command, facts)
        case UnlockProfile():
            return pins.unlock(state, command, facts)
        case NameDevice():
            return devices.name_device(state, command, facts)
        case GetDeviceNames():
            return devices.device_names(state)
        case SetSubscription():
            return subscriptions.set_subscription(state, command, facts)
        case ApplyBillingEvent():
            return subscriptions.apply_billing_event(state, command, facts)
        case _:
            assert_never(command)


def repeat(state: AccountState, command: AccountRequest, facts: Facts) -> Outcome:
    """The answer to a request that was applied before, from the state as it is now."""
    match command:
        case SignIn() | Refresh():
            return signing.grant_again(state, facts)
        case SignUp():
            return Outcome(signing.new_view(command, facts))
        case SignOut() | RequestPasswordReset() | ResetPassword() | NameDevice():
            return Outcome(Done())
        case ApplyBillingEvent():
            return Outcome(subscriptions.outcome_of(state, "repeated"))
        case _:
            return Outcome(viewed(state, facts))
