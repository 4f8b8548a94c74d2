"""An account as its owner keeps it: what everybody may see, and what lies sealed."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from schemas.accounts import Account, AccountView


class RefreshFamily(msgspec.Struct, frozen=True, kw_only=True):
    """The refresh tokens of one sign-in: only the newest counts, an older one ends the family."""

    family: str
    """16 hex digits, known only to who holds a token of it."""
    generation: int
    token_hash: bytes
    """SHA-256 of the newest token; the token itself is kept nowhere."""
    mark: str
    """Of the request that made the newest token, so that its redelivery gets the same one."""
    created_at_ms: int
    used_at_ms: int


class PendingReset(msgspec.Struct, frozen=True, kw_only=True):
    """A password reset that was asked for."""

    token_hash: bytes
    expires_at_ms: int


class Private(msgspec.Struct, frozen=True, kw_only=True):
    """What lies in `Account.sealed`."""

    email: str = ""
    password_hash: str = ""
    """Argon2id, in its own text form; empty for outside identities."""
    families: tuple[RefreshFamily, ...] = ()
    reset: PendingReset | None = None
    marks: tuple[str, ...] = ()
    """Of the last requests that changed this account: a redelivered one does not act twice.

    Marks of request ids, not offsets: offsets start again when the log is restored or its topic
    gets a new version. Requests live for seconds (`not_after`), so the last few are enough.
    """
    pins: dict[str, str] = {}
    """Argon2id of each PIN, by profile."""
    device_names: dict[str, str] = {}
    """By device id; the one named last comes last."""
    billing_at_ms: int = 0
    """When what the subscription follows happened, by billing's clock."""
    billing_event_id: str = ""
    """Its event; empty where an operator said it."""
    billing_marks: tuple[str, ...] = ()
    """Of the last billing events that counted."""

    def __repr__(self) -> str:
        return "Private(***)"


@dataclass(frozen=True, slots=True)
class AccountState:
    """Both parts, opened."""

    account: Account
    private: Private


def account_view(account: Account, now_ms: int) -> AccountView:
    """The account as its viewer may see it now."""
    subscription = account.subscription.at(now_ms)
    return AccountView(
        account_id=account.account_id,
        plan=subscription.plan,
        subscription_state=subscription.state,
        subscription_until_ms=subscription.until_ms,
        profiles=account.profiles,
        version=account.version,
    )
