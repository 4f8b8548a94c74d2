"""What a decision about an account comes to; the shell only carries it out."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from agents.account.rules import Facts
from agents.account.state import AccountState, Private, account_view
from schemas.accounts import Account, AccountEvent, AccountFact, AccountView, Done
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
class ResetMail:
    """A reset token on its way to the address; never in an answer or a topic."""

    email: str
    token: SecretText
    expires_at_ms: int

    def __repr__(self) -> str:
        return "ResetMail(***)"


Answer = AccountView | Done | Refused | Grant


@dataclass(frozen=True, slots=True)
class Outcome:
    """The new state (None: unchanged), what happened, what is answered."""

    answer: Answer
    state: AccountState | None = None
    events: tuple[AccountEvent, ...] = ()
    mail: ResetMail | None = None


def refused(status: int, reason: str, detail: str = "") -> Outcome:
    """Nothing changes."""
    return Outcome(Refused(status=status, reason=reason, detail=detail))


def happened(
    account: Account, fact: AccountFact, facts: Facts, *, profile_id: str = "", reason: str = ""
) -> AccountEvent:
    """The event, without anything personal."""
    return AccountEvent(
        account_id=account.account_id,
        fact=fact,
        at_ms=facts.now_ms,
        version=account.version,
        plan=account.subscription.plan,
        subscription_state=account.subscription.state,
        profile_id=profile_id,
        reason=reason,
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


def viewed(state: AccountState) -> AccountView:
    """The state as an answer."""
    return account_view(state.account)
