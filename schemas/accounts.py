"""Accounts, profiles and subscriptions: commands, what happened, and the state of `accounts.v1`."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from schemas.sessions import DeviceId
from schemas.subscriptions import BillingEventType, EventId, Subscription, SubscriptionState

CANARY_PLAN: Final = "canary"
"""The plan of the operator's probe: what it does is marked, and no view counts it."""

PROFILE_NAME_CHARACTERS_MAX: Final = 64
ProfileName = Annotated[str, Meta(min_length=1, max_length=PROFILE_NAME_CHARACTERS_MAX)]
Maturity = Annotated[int, Meta(ge=0, le=21)]
DeviceName = Annotated[str, Meta(min_length=1, max_length=64)]
Actor = Literal["viewer", "billing", "operator"]
"""Who wanted a change."""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One viewer of an account."""

    profile_id: str
    name: str
    language: str = "en"
    maturity: int = 18
    """Titles above this age are neither offered nor played."""
    created_at_ms: int
    pin_set_at_ms: int | None = None
    """When its PIN was set, which every proof of the PIN names; None: it has none."""
    is_personalized: bool = True
    """False: it is recommended what anybody is, and what it watches teaches nothing."""
    personalized_since_ms: int = 0
    """What it watched and said of titles before is forgotten by recommendations."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The state of an account; who may sign in lies in `sealed`, which only its owner can read."""

    account_id: str
    version: int
    created_at_ms: int
    subscription: Subscription
    profiles: tuple[Profile, ...] = ()
    sealed: bytes = b""
    """Address, password hash, refresh-token families and names of profiles, under the account's
    own key (`DataKey`)."""
    is_closed: bool = False
    erased_at_ms: int | None = None
    """The key of what was sealed is destroyed: whoever comes with this address begins anew."""
    signed_out_at_ms: int = 0
    """When everything was signed out: sessions that were opened before are over."""
    signed_out_version: int = 0
    """Of then: access tokens of an older version open no session."""
    happened: tuple[AccountEvent, ...] = ()
    """What made this version: a process that ends before it told them leaves them to the next."""


class PinProof(msgspec.Struct, frozen=True, kw_only=True):
    """That the PIN of a profile was said: what a profile token carries, checked by the gateway."""

    profile_id: str
    pin_set_at_ms: int


class DataKey(msgspec.Struct, frozen=True, kw_only=True):
    """An account's own key, only wrapped: `account.keys.v1`.

    `wrapped` = nonce (12 bytes) + AES-256-GCM under a key of the account agent, whose associated
    data is the account id. Without it nothing opens that was sealed for the account, wherever
    copies of that lie: destroying it erases them all.
    """

    account_id: str
    wrapped: bytes
    created_at_ms: int


# -- commands (account.requests.v1) -----------------------------------------------------------


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What is sealed to the account agent's key; it never stands readable in the log."""

    email: str = ""
    password: str = ""
    refresh_token: str = ""
    reset_token: str = ""
    pin: str = ""
    device_name: str = ""
    profile_name: str = ""

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
    """Add a viewer; the name is sealed."""

    account_id: str
    name: ProfileName | None = None
    """Readable, by gateways of before 2026-11-24."""
    language: str = "en"
    maturity: Maturity = 18
    proof: PinProof | None = None
    sealed: bytes | None = None


class UpdateProfile(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="update_profile"
):
    """Change what is not None; a new name is sealed."""

    account_id: str
    profile_id: str
    name: ProfileName | None = None
    """Readable, by gateways of before 2026-11-24."""
    language: str | None = None
    maturity: Maturity | None = None
    proof: PinProof | None = None
    sealed: bytes | None = None
    is_personalized: bool | None = None
    """What was watched while it was off never counts: turned on, recommendations begin anew."""
    forgets_watched: bool = False
    """Recommendations begin anew."""


class DeleteProfile(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="delete_profile"
):
    """Remove a viewer."""

    account_id: str
    profile_id: str
    proof: PinProof | None = None


class SetPin(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="set_pin"):
    """Guard a profile by the sealed PIN, or by none any more.

    The sealed password shows that it is the account's owner; an account without a password shows
    the profile's own proof.
    """

    account_id: str
    profile_id: str
    sealed: bytes
    proof: PinProof | None = None


class UnlockProfile(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="unlock_profile"
):
    """The sealed PIN of a profile against a proof that it was said."""

    account_id: str
    profile_id: str
    sealed: bytes


class NameDevice(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="name_device"):
    """What the viewer calls a device, sealed: it may name a person. Empty: nothing any more."""

    account_id: str
    device_id: DeviceId
    sealed: bytes


class GetDeviceNames(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="get_device_names"
):
    """What the viewer calls their devices."""

    account_id: str


class SetSubscription(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="set_subscription"
):
    """What an operator says, or a billing system that asks instead of telling."""

    account_id: str
    plan: str
    state: SubscriptionState
    until_ms: int | None = None
    by: Actor = "billing"
    by_name: str = ""
    """Whom the token was made for, as the operator named them."""


class ApplyBillingEvent(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="apply_billing_event"
):
    """What the billing system told: the whole subscription since `occurred_at_ms`."""

    account_id: str
    event_id: EventId
    event_type: BillingEventType
    occurred_at_ms: int
    plan: str
    until_ms: int | None = None


class EraseAccount(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="erase_account"
):
    """Close the account for ever and destroy its key."""

    account_id: str


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
    | ApplyBillingEvent
    | SetPin
    | UnlockProfile
    | NameDevice
    | GetDeviceNames
    | EraseAccount
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


class ProfileUnlocked(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="profile_unlocked"
):
    """The proof, as a token (`schemas.tokens.ProfileClaims`)."""

    profile_token: str
    expires_at_ms: int


class BillingOutcome(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="billing_outcome"
):
    """What a billing event came to. `outdated`: a later one was told before."""

    outcome: Literal["applied", "repeated", "outdated"]
    subscription: Subscription


class DeviceNames(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="device_names"):
    """By device id."""

    names: dict[str, str]


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
    "sign_up_repeated",
    "signed_out_everywhere",
    "pin_set",
    "pin_cleared",
    "unlock_failed",
    "device_named",
    "account_erased",
]


class ProfileFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A profile without its name, which may be a person's."""

    profile_id: str
    language: str
    maturity: int
    created_at_ms: int
    pin_set_at_ms: int | None = None
    is_personalized: bool = True
    personalized_since_ms: int = 0


class AccountEvent(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="account_event"
):
    """Something happened to an account; personal fields are not in it.

    Those of one account, in the order of their versions, give its state at any time
    (`agents.account.history`). `subscription` and `profiles` are those after it; None where an
    older writer did not tell them.
    """

    account_id: str
    fact: AccountFact
    at_ms: int
    version: int
    plan: str = ""
    subscription_state: SubscriptionState = "none"
    profile_id: str = ""
    reason: str = ""
    subscription: Subscription | None = None
    profiles: tuple[ProfileFacts, ...] | None = None
    is_closed: bool = False
    signed_out_at_ms: int = 0
    by: Actor = "viewer"
    by_name: str = ""
    """The billing event, or whom the operator's token was made for."""
