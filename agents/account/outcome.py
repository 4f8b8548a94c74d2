"""What a decision about an account comes to; the shell only carries it out."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from agents.account.rules import Facts
from agents.account.state import AccountState, Private, account_view
from schemas.accounts import (
    Account,
    AccountEvent,
    AccountFact,
    AccountView,
    Actor,
    BillingOutcome,
    DeviceNames,
    Done,
    Profile,
    ProfileFacts,
)
from schemas.envelope import Refused
from schemas.secrets import SecretText


@dataclass(frozen=True, slots=True)
class Grant:
    """Tokens are due: the shell signs the access token."""

    account_id: str
    version: int
    family: str
    refresh_token: SecretText


@dataclass(frozen=True, slots=True)
class Unlocked:
    """A proof is due that the PIN was said: the shell signs it."""

    account_id: str
    profile_id: str
    pin_set_at_ms: int


@dataclass(frozen=True, slots=True)
class ResetMail:
    """A reset token on its way to the address; never in an answer or a topic."""

    email: str
    token: SecretText
    expires_at_ms: int

    def __repr__(self) -> str:
        return "ResetMail(***)"


@dataclass(frozen=True, slots=True)
class SignUpMail:
    """Somebody wanted an account with an address that has one: only its owner is told."""

    email: str
    expires_at_ms: int

    def __repr__(self) -> str:
        return "SignUpMail(***)"


Answer = AccountView | BillingOutcome | DeviceNames | Done | Refused | Grant | Unlocked


@dataclass(frozen=True, slots=True)
class Outcome:
    """The new state (None: unchanged), what happened, what is answered."""

    answer: Answer
    state: AccountState | None = None
    events: tuple[AccountEvent, ...] = ()
    mail: ResetMail | SignUpMail | None = None
    destroys_key: bool = False
    """Nothing that was sealed for the account may be opened any more, by anybody."""


def refused(status: int, reason: str, detail: str = "") -> Outcome:
    """Nothing changes."""
    return Outcome(Refused(status=status, reason=reason, detail=detail))


def happened(
    account: Account,
    fact: AccountFact,
    facts: Facts,
    *,
    profile_id: str = "",
    reason: str = "",
    by: Actor = "viewer",
    by_name: str = "",
) -> AccountEvent:
    """The event, without anything personal, and the account as it is after it."""
    return AccountEvent(
        account_id=account.account_id,
        fact=fact,
        at_ms=facts.now_ms,
        version=account.version,
        plan=account.subscription.plan,
        subscription_state=account.subscription.state,
        profile_id=profile_id,
        reason=reason,
        subscription=account.subscription,
        profiles=tuple(map(profile_facts, account.profiles)),
        is_closed=account.is_closed,
        signed_out_at_ms=account.signed_out_at_ms,
        by=by,
        by_name=by_name,
    )


def profile_facts(profile: Profile) -> ProfileFacts:
    """A profile without its name."""
    return ProfileFacts(
        profile_id=profile.profile_id,
        language=profile.language,
        maturity=profile.maturity,
        created_at_ms=profile.created_at_ms,
        pin_set_at_ms=profile.pin_set_at_ms,
        is_personalized=profile.is_personalized,
        personalized_since_ms=profile.personalized_since_ms,
    )


def changed(
    state: AccountState,
    facts: Facts,
    *,
    account: Account | None = None,
    private: Private | None = None,
) -> AccountState:
    """The state one version on, with this request remembered."""
    base = account if account is not None else state.account
    kept = private if private is not None else state.private
    marks = (*kept.marks, facts.mark)[-facts.rules.marks_max :]
    return AccountState(
        account=msgspec.structs.replace(base, version=state.account.version + 1),
        private=msgspec.structs.replace(kept, marks=marks),
    )


def viewed(state: AccountState, facts: Facts) -> AccountView:
    """The state as an answer."""
    return account_view(state.account, facts.now_ms)
