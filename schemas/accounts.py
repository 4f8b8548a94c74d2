"""Accounts, profiles and subscriptions: commands, what happened, and the state of `accounts.v1`."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

CANARY_PLAN: Final = "canary"
"""The plan of the operator's probe: what it does is marked, and no view counts it."""

SubscriptionState = Literal["none", "trial", "active", "grace", "paused", "cancelled"]
ProfileName = Annotated[str, Meta(min_length=1, max_length=64)]
Maturity = Annotated[int, Meta(ge=0, le=21)]


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """What the account may watch with."""

    plan: str
    state: SubscriptionState
    since_ms: int
    until_ms: int | None = None


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One viewer of an account."""

    profile_id: str
    name: str
    language: str = "en"
    maturity: int = 18
    """Titles above this age are neither offered nor played."""
    created_at_ms: int


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The state of an account; who may sign in lies in `sealed`, which only its owner can read."""

    account_id: str
    version: int
    created_at_ms: int
    subscription: Subscription
    profiles: tuple[Profile, ...] = ()
    sealed: bytes = b""
    """Address, password hash and refresh-token families, under the account agent's own key."""
    is_closed: bool = False


# -- commands (account.requests.v1) -----------------------------------------------------------


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What is sealed to the account agent's key; it never stands readable in the log."""

    email: str = ""
    password: str = ""
    refresh_token: str = ""
    reset_token: str = ""

    def __repr__(self) -> str:
        return "Credentials(***)"


def credentials_info(account_id: str) -> bytes:
    """The context that `Credentials` are sealed to, so that they count for no other account."""
    return f"playhead credentials v1 {account_id}".encode()


class SignUp(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="sign_up"):
    """Create the account of the sealed address."""

    account_id: str
    sealed: bytes
    plan: str = ""


class SignIn(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="sign_in"):
    """Sealed address and password against tokens."""

    account_id: str
    sealed: bytes


class Refresh(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="refresh"):
    """A sealed refresh token against new tokens; the old one is dead, its reuse ends the family."""

    account_id: str
    sealed: bytes


class SignOut(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="sign_out"):
    """End one family of refresh tokens, or all."""

    account_id: str
    family: str = ""
    everywhere: bool = False


class RequestPasswordReset(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="request_password_reset"
):
    """Make a reset token for the sealed address (delivered out of band, never in the answer)."""

    account_id: str
    sealed: bytes


class ResetPassword(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="reset_password"
):
    """A sealed reset token and new password; ends every refresh-token family."""

    account_id: str
    sealed: bytes


class EnsureAccount(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="ensure_account"
):
    """First use of an outside identity: make the account where there is none."""

    account_id: str


class GetAccount(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="get_account"):
    """The account's state."""

    account_id: str


class CreateProfile(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="create_profile"
):
    """Add a viewer."""

    account_id: str
    name: ProfileName
    language: str = "en"
    maturity: Maturity = 18


class UpdateProfile(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="update_profile"
):
    """Change what is not None."""

    account_id: str
    profile_id: str
    name: ProfileName | None = None
    language: str | None = None
    maturity: Maturity | None = None


class DeleteProfile(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="delete_profile"
):
    """Remove a viewer."""

    account_id: str
    profile_id: str


class SetSubscription(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="set_subscription"
):
    """What the billing system says."""

    account_id: str
    plan: str
    state: SubscriptionState
    until_ms: int | None = None


AccountRequest = (
    SignUp
    | SignIn
    | Refresh
    | SignOut
    | RequestPasswordReset
    | ResetPassword
    | EnsureAccount
    | GetAccount
    | CreateProfile
    | UpdateProfile
    | DeleteProfile
    | SetSubscription
)


# -- answers ----------------------------------------------------------------------------------


class AccountView(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="account"):
    """An account as its viewer may see it."""

    account_id: str
    plan: str
    subscription_state: SubscriptionState
    subscription_until_ms: int | None
    profiles: tuple[Profile, ...]
    version: int


class Tokens(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="tokens"):
    """RFC 6749, section 5.1."""

    access_token: str
    refresh_token: str
    expires_in: int
    """Seconds, as the RFC has it."""
    token_type: str = "Bearer"  # noqa: S105 - the RFC's word, not a secret


class Done(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="done"):
    """It is done and there is nothing to tell."""


# -- what happened (account.events.v1) --------------------------------------------------------

AccountFact = Literal[
    "account_created",
    "signed_in",
    "sign_in_failed",
    "tokens_refreshed",
    "refresh_token_reused",
    "signed_out",
    "password_reset_requested",
    "password_reset",
    "profile_created",
    "profile_updated",
    "profile_deleted",
    "subscription_changed",
]


class AccountEvent(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="account_event"
):
    """Something happened to an account; personal fields are not in it."""

    account_id: str
    fact: AccountFact
    at_ms: int
    version: int
    plan: str = ""
    subscription_state: SubscriptionState = "none"
    profile_id: str = ""
    reason: str = ""
