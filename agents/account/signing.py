"""Signing up, in and out: passwords, refresh tokens and resets.

An unknown account, a wrong password and a spent token get one and the same refusal.
"""

from __future__ import annotations

import hmac
import re
from hashlib import sha256
from typing import Final

from msgspec.structs import replace

from agents.account import families
from agents.account.outcome import (
    Grant,
    Outcome,
    ResetMail,
    SignUpMail,
    changed,
    happened,
    refused,
    viewed,
)
from agents.account.rules import Facts
from agents.account.state import AccountState, PendingReset, Private, account_view
from schemas.accounts import (
    CANARY_PLAN,
    Account,
    AccountEvent,
    AccountRequest,
    AccountView,
    Done,
    EnsureAccount,
    ResetPassword,
    SignOut,
    SignUp,
)
from schemas.errors import InvalidMessageError
from schemas.secrets import SecretText
from schemas.subscriptions import Subscription
from schemas.tokens import opaque_token, opaque_token_bytes

_EMAIL: Final = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,190}")
_NO_SUBSCRIPTION: Final = "none"


def _denied() -> Outcome:
    """RFC 6749, section 5.2: the one answer to whatever does not sign in."""
    return refused(400, "invalid-grant", "wrong, expired or already used")


def sign_up(state: AccountState | None, command: SignUp, facts: Facts) -> Outcome:
    """Create the account. Where the address has one, the answer is the same: its owner gets mail,
    and whoever asked learns nothing (they know the password, or they do not sign in).
    """
    assert facts.credentials is not None
    if not _EMAIL.fullmatch(facts.credentials.email):
        return refused(400, "email", "not an address")
    if reason := password_problem(facts.credentials.password, facts):
        return refused(400, "password", reason)
    if command.plan and command.plan not in facts.rules.plans - {CANARY_PLAN}:
        return refused(400, "unknown-plan", f"there is no plan {command.plan!r}")
    if state is not None:
        mail = SignUpMail(state.private.email, facts.now_ms + facts.rules.reset_ms)
        kept = changed(state, facts)
        event = happened(kept.account, "sign_up_repeated", facts)
        return Outcome(new_view(command, facts), kept, (event,), mail)
    private = Private(email=facts.credentials.email, password_hash=facts.password_hash)
    return _created(command.account_id, _first_subscription(command.plan, facts), private, facts)


def new_view(command: SignUp, facts: Facts) -> AccountView:
    """What every sign-up is answered, whether the address was new or not."""
    account = _account(command.account_id, _first_subscription(command.plan, facts), facts)
    return account_view(replace(account, version=1), facts.now_ms)


def needs_hash(state: AccountState | None, command: AccountRequest, facts: Facts) -> bool:
    """Whether the decision will keep a hash of the password: hashing is dear."""
    if facts.credentials is None or password_problem(facts.credentials.password, facts):
        return False
    if isinstance(command, SignUp):
        return True  # also where it is not kept: it must take as long
    if isinstance(command, ResetPassword):
        return state is not None and is_reset_token(state, facts)
    return False


def password_problem(password: str, facts: Facts) -> str:
    """Why the password cannot be taken; empty where it can (NIST SP 800-63B: length only)."""
    least, most = facts.rules.password_characters_min, facts.rules.password_characters_max
    if not least <= len(password) <= most:
        return f"a password has {least} to {most} characters"
    return ""


def _first_subscription(plan: str, facts: Facts) -> Subscription:
    if plan and facts.rules.trial_ms:
        until_ms = facts.now_ms + facts.rules.trial_ms
        return Subscription(plan=plan, state="trial", since_ms=facts.now_ms, until_ms=until_ms)
    return Subscription(plan=plan or _NO_SUBSCRIPTION, state="none", since_ms=facts.now_ms)


def ensure(state: AccountState | None, command: EnsureAccount, facts: Facts) -> Outcome:
    """The account of an outside identity, made at its first use."""
    if state is not None:
        return Outcome(viewed(state, facts))
    return _created(command.account_id, _first_subscription("", facts), Private(), facts)


def _created(
    account_id: str, subscription: Subscription, private: Private, facts: Facts
) -> Outcome:
    new = changed(AccountState(_account(account_id, subscription, facts), private), facts)
    return Outcome(viewed(new, facts), new, (happened(new.account, "account_created", facts),))


def _account(account_id: str, subscription: Subscription, facts: Facts) -> Account:
    return Account(
        account_id=account_id,
        version=facts.erased_version,
        created_at_ms=facts.now_ms,
        subscription=subscription,
    )


def sign_in(state: AccountState | None, facts: Facts) -> Outcome:
    """A new family of refresh tokens against the right password."""
    if state is None or not state.private.password_hash:
        return _denied()
    if not facts.password_matches or state.account.is_closed:
        return Outcome(_denied().answer, events=(happened(state.account, "sign_in_failed", facts),))
    family, token = families.started(state.account.account_id, facts)
    private = families.kept_with(state.private, family, facts)
    if facts.password_hash:  # the parameters of hashing have grown since it was made
        private = replace(private, password_hash=facts.password_hash)
    new = changed(state, facts, private=private)
    return _granted(new, family.family, token, (happened(new.account, "signed_in", facts),))


def refresh(state: AccountState | None, facts: Facts) -> Outcome:
    """The next token of the family; the use of an old one ends it."""
    assert facts.credentials is not None
    presented = families.parse(facts.credentials.refresh_token)
    if state is None or presented is None:
        return _denied()
    family = families.find(state.private, presented.family)
    if family is None or not families.is_alive(family, facts) or state.account.is_closed:
        return _denied()
    if presented.generation < family.generation:
        new = changed(state, facts, private=families.without(state.private, family.family))
        event = happened(new.account, "refresh_token_reused", facts)
        return Outcome(_denied().answer, new, (event,))
    if not families.is_newest(family, presented):
        return _denied()
    following, token = families.rotated(state.account.account_id, family, facts)
    new = changed(state, facts, private=families.kept_with(state.private, following, facts))
    event = happened(new.account, "tokens_refreshed", facts)
    return _granted(new, following.family, token, (event,))


def _granted(
    state: AccountState, family: str, token: SecretText, events: tuple[AccountEvent, ...]
) -> Outcome:
    account = state.account
    return Outcome(Grant(account.account_id, account.version, family, token), state, events)


def grant_again(state: AccountState, facts: Facts) -> Outcome:
    """The tokens that this very request was given before, while they are the newest."""
    for family in state.private.families:
        if family.mark == facts.mark:
            account_id = state.account.account_id
            token = families.token_of(
                account_id, family.family, family.generation, facts.randomness[8:40]
            )
            grant = Grant(account_id, state.account.version, family.family, token)
            return Outcome(grant)
    return _denied()


def sign_out(state: AccountState, command: SignOut, facts: Facts) -> Outcome:
    """End one family; or all, and every session with them."""
    if command.everywhere:
        new = _signed_out_everywhere(state, state.private, facts)
        return Outcome(Done(), new, (happened(new.account, "signed_out_everywhere", facts),))
    private = families.without(state.private, command.family)
    if private == state.private:
        return Outcome(Done())
    new = changed(state, facts, private=private)
    return Outcome(Done(), new, (happened(new.account, "signed_out", facts),))


def _signed_out_everywhere(state: AccountState, private: Private, facts: Facts) -> AccountState:
    """Refresh tokens end here; access tokens and sessions by what the license agent reads."""
    account = replace(
        state.account,
        signed_out_at_ms=facts.now_ms,
        signed_out_version=state.account.version + 1,
    )
    return changed(state, facts, account=account, private=replace(private, families=()))


def request_reset(state: AccountState | None, facts: Facts) -> Outcome:
    """A reset token by mail; the answer is the same where there is no such account."""
    if state is None or not state.private.password_hash:
        return Outcome(Done())
    secret = facts.randomness[8:40]
    token = SecretText(opaque_token(state.account.account_id, secret))
    expires_at_ms = facts.now_ms + facts.rules.reset_ms
    pending = PendingReset(token_hash=_hash(token.text()), expires_at_ms=expires_at_ms)
    new = changed(state, facts, private=replace(state.private, reset=pending))
    event = happened(new.account, "password_reset_requested", facts)
    mail = ResetMail(state.private.email, token, expires_at_ms)
    return Outcome(Done(), new, (event,), mail)


def reset(state: AccountState | None, facts: Facts) -> Outcome:
    """A new password against a reset token; every device is signed out."""
    assert facts.credentials is not None
    if state is None or not is_reset_token(state, facts):
        return refused(400, "reset-token", "wrong, expired or already used")
    if reason := password_problem(facts.credentials.password, facts):
        return refused(400, "password", reason)
    private = replace(state.private, password_hash=facts.password_hash, reset=None)
    new = _signed_out_everywhere(state, private, facts)
    return Outcome(Done(), new, (happened(new.account, "password_reset", facts),))


def is_reset_token(state: AccountState, facts: Facts) -> bool:
    """Whether the presented token is the one that was mailed, in its time."""
    pending = state.private.reset
    if pending is None or facts.credentials is None or facts.now_ms >= pending.expires_at_ms:
        return False
    try:
        presented = _hash(facts.credentials.reset_token)
    except InvalidMessageError:
        return False
    return hmac.compare_digest(pending.token_hash, presented)


def _hash(token: str) -> bytes:
    return sha256(opaque_token_bytes(token)).digest()
