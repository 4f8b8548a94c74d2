"""What clients send and get: the types of the contract, which the OpenAPI document is made of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from gateway.problems import RefusedItem
from schemas.accounts import (
    AccountView,
    DeviceName,
    Maturity,
    Profile,
    ProfileName,
)
from schemas.catalog import ContentId
from schemas.recommendations import RecommendationRow, Thumb
from schemas.sessions import Device, Nonce, RegisteredDevice
from schemas.subscriptions import BillingEventType, Subscription, SubscriptionState

Email = Annotated[str, Meta(min_length=3, max_length=254)]
Password = Annotated[str, Meta(min_length=1, max_length=1024)]
Pin = Annotated[str, Meta(pattern=r"^[0-9]{4,8}$")]
Plan = Annotated[str, Meta(max_length=64)]
Language = Annotated[str, Meta(min_length=2, max_length=35)]
Id = Annotated[str, Meta(min_length=1, max_length=64)]
OpaqueToken = Annotated[str, Meta(min_length=1, max_length=256)]


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a client sends; fields that the contract does not have are refused."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a client gets."""


class NewAccount(Body, frozen=True, kw_only=True):
    """`POST /v1/accounts`."""

    email: Email
    password: Password
    plan: Plan = ""


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /v1/tokens` (RFC 6749, sections 4.3 and 6); unknown parameters are ignored there."""

    grant_type: Annotated[str, Meta(max_length=64)]
    username: Annotated[str, Meta(max_length=254)] = ""
    password: Annotated[str, Meta(max_length=1024)] = ""
    refresh_token: Annotated[str, Meta(max_length=256)] = ""
    client_id: Annotated[str, Meta(max_length=256)] = ""
    scope: Annotated[str, Meta(max_length=1024)] = ""


class TokenAnswer(Answer, frozen=True, kw_only=True):
    """RFC 6749, section 5.1."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    """Seconds."""
    refresh_token: str


class PasswordReset(Body, frozen=True, kw_only=True):
    """An address to send a reset token to; or the token, and the new password."""

    email: Email | None = None
    reset_token: OpaqueToken | None = None
    password: Password | None = None


class AccountAnswer(Answer, frozen=True, kw_only=True):
    """An account as its viewer sees it."""

    account_id: str
    plan: str
    subscription_state: SubscriptionState
    subscription_until_ms: int | None
    profiles: tuple[Profile, ...]

    @classmethod
    def of(cls, view: AccountView) -> AccountAnswer:
        """The agent's answer in the contract's form."""
        return cls(
            account_id=view.account_id,
            plan=view.plan,
            subscription_state=view.subscription_state,
            subscription_until_ms=view.subscription_until_ms,
            profiles=view.profiles,
        )


class NewProfile(Body, frozen=True, kw_only=True):
    """`POST /v1/profiles`."""

    name: ProfileName
    language: Language = "en"
    maturity: Maturity = 18


class ProfileChange(Body, frozen=True, kw_only=True):
    """`PATCH /v1/profiles/{profile_id}`: what is given changes."""

    name: ProfileName | None = None
    language: Language | None = None
    maturity: Maturity | None = None
    is_personalized: bool | None = None
    """False: it is recommended what anybody is, and what it watches teaches nothing. True after it
    was false: recommendations begin anew."""


class NewPin(Body, frozen=True, kw_only=True):
    """`PUT /v1/profiles/{profile_id}/pin`: null takes the PIN away.

    The account's password shows its owner; or the header `Profile-Token` who knows the PIN that the
    profile has. Accounts of outside identities have no password: there the first PIN needs nothing.
    """

    pin: Pin | None
    password: Annotated[str, Meta(max_length=1024)] = ""


class PinEntry(Body, frozen=True, kw_only=True):
    """`POST /v1/profiles/{profile_id}/unlock`."""

    pin: Pin


class ProfileUnlockedAnswer(Answer, frozen=True, kw_only=True):
    """What the header `Profile-Token` carries."""

    profile_token: str
    expires_at: datetime


class ProfilesAnswer(Answer, frozen=True, kw_only=True):
    """`GET /v1/profiles`."""

    profiles: tuple[Profile, ...]


class DeviceChange(Body, frozen=True, kw_only=True):
    """`PATCH /v1/devices/{device_id}`: null takes the name away."""

    name: DeviceName | None


class DeviceAnswer(Answer, frozen=True, kw_only=True):
    """A device that took a session once."""

    device_id: str
    name: str
    """As its viewer calls it; empty: it has none."""
    model: str
    os: str
    first_seen_at_ms: int
    last_seen_at_ms: int
    session_ids: tuple[str, ...]
    public_key: str

    @classmethod
    def of(cls, device: RegisteredDevice, names: Mapping[str, str]) -> DeviceAnswer:
        """The license agent's device under the account agent's name."""
        return cls(
            device_id=device.device_id,
            name=names.get(device.device_id, ""),
            model=device.model,
            os=device.os,
            first_seen_at_ms=device.first_seen_at_ms,
            last_seen_at_ms=device.last_seen_at_ms,
            session_ids=device.session_ids,
            public_key=device.public_key,
        )


class DevicesAnswer(Answer, frozen=True, kw_only=True):
    """`GET /v1/devices`."""

    devices: tuple[DeviceAnswer, ...]


class SubscriptionChange(Body, frozen=True, kw_only=True):
    """`PUT /v1/admin/accounts/{account_id}/subscription`."""

    plan: Plan
    state: SubscriptionState
    until_ms: Annotated[int, Meta(ge=0, le=2**53)] | None = None


class BillingEventHead(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /v1/billing/events` (Standard Webhooks): what every event has, also one that is not
    for us."""

    type: Annotated[str, Meta(min_length=1, max_length=128)]


class SubscriptionTold(Body, frozen=True, kw_only=True):
    """The whole subscription, as billing knows it after the event."""

    account_id: UUID
    plan: Plan
    until: Annotated[datetime, Meta(tz=True)] | None = None
    """End of the trial, of what is paid for, of the grace or of the pause; null: none is known."""


class BillingEvent(Body, frozen=True, kw_only=True):
    """An event about a subscription. Its id is the header `webhook-id`."""

    type: BillingEventType
    timestamp: Annotated[datetime, Meta(tz=True)]
    """When it happened, by billing's clock: of two events the later one counts."""
    data: SubscriptionTold


class BillingAnswer(Answer, frozen=True, kw_only=True):
    """What an event came to; 200 says that it need not be sent again."""

    event_id: str
    outcome: Literal["applied", "repeated", "outdated", "ignored"]
    """`outdated`: a later event was told before; `ignored`: its type is none of ours."""
    subscription: Subscription | None = None
    """As it is told now."""


class NewSession(Body, frozen=True, kw_only=True):
    """`POST /v1/sessions`."""

    content_id: ContentId
    profile_id: Id
    device: Device


class SessionAnswer(Answer, frozen=True, kw_only=True):
    """Everything that a player needs, and when it ends."""

    session_id: str
    session_token: str
    resume_playhead_ms: int | None = None
    """Where the profile left the content; null in an extension."""
    dash_url: str
    hls_url: str
    license_url: str
    cmcd_url: str
    """Of one player instance: another instance replaces the last part by a name of its own."""
    events_url: str
    epas_url: str
    """The eventsink URL for an SDK of the Eyevinn Player Analytics Specification."""
    steering_url: str
    bitrate_url: str
    heartbeat_interval_ms: int
    expires_at: datetime


class EventsAccepted(Answer, frozen=True, kw_only=True):
    """202: every event is durable."""

    accepted: int


class EventsPartlyAccepted(Answer, frozen=True, kw_only=True):
    """207: the accepted ones are durable, the refused ones never appear."""

    accepted: int
    refused: tuple[RefusedItem, ...]


class LicenseRequest(msgspec.Struct, frozen=True, kw_only=True):
    """W3C Encrypted Media Extensions, section 9.1.3; browsers may say more."""

    kids: Annotated[
        tuple[Annotated[str, Meta(max_length=64)], ...], Meta(min_length=1, max_length=64)
    ]
    type: Literal["temporary"] = "temporary"


class DeviceLicenseRequest(Body, frozen=True, kw_only=True):
    """`POST /s/{session_token}/license/device`: an own app asks for keys sealed to its device."""

    kids: Annotated[
        tuple[Annotated[str, Meta(max_length=64)], ...], Meta(min_length=1, max_length=64)
    ]
    """Base64url without padding, as in a ClearKey request."""
    nonce: Nonce


class DeviceLicenseAnswer(Answer, frozen=True, kw_only=True):
    """The entitled subset of the asked keys, for the device and this question alone.

    HPKE, RFC 9180, base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM. `sealed` is the
    encapsulated key (32 bytes) and the ciphertext of the keys, 16 bytes each, in the order of
    `key_ids`. Its `info` is the ASCII text `playhead device-bound keys v1`, then session_id,
    device_id, nonce and each of key_ids, each after its length in bytes (2 bytes, big-endian).
    """

    session_id: str
    device_id: str
    nonce: str
    key_ids: tuple[str, ...]
    """Hex."""
    sealed: str
    """Base64url without padding."""


class LicensedKey(Answer, frozen=True, kw_only=True):
    """A JSON Web Key (RFC 7517, section 6.4)."""

    kty: Literal["oct"] = "oct"
    kid: str
    k: str

    def __repr__(self) -> str:
        return f"LicensedKey({self.kid}, ***)"


class LicenseAnswer(Answer, frozen=True, kw_only=True):
    """W3C Encrypted Media Extensions, section 9.1.4."""

    keys: tuple[LicensedKey, ...]
    type: Literal["temporary"] = "temporary"


class BitrateAnswer(Answer, frozen=True, kw_only=True):
    """The decision now; all null where nothing limits the session yet."""

    ceiling_kbps: int | None = None
    rendition: str | None = None
    reason: str = ""
    decided_at_ms: int | None = None


class RecommendationsAnswer(Answer, frozen=True, kw_only=True):
    """`GET /v1/profiles/{profile_id}/recommendations`."""

    rows: tuple[RecommendationRow, ...]
    model_version: str
    as_of: datetime


class FeedbackChange(Body, frozen=True, kw_only=True):
    """`PUT /v1/profiles/{profile_id}/feedback/{content_id}`: in place of what was said before.

    What is left out is not said any more; all of it left out is the same as DELETE.
    """

    thumb: Thumb = ""
    """`up`: more like it; `down`: nothing like it, and it is recommended no more."""
    is_hidden: bool = False
    """It stands in no row of the profile."""
    is_favorite: bool = False
    """It stands in the row "my list" and speaks for titles like it."""


class FeedbackAnswer(Answer, frozen=True, kw_only=True):
    """What a profile says of a title."""

    content_id: str
    thumb: Thumb
    is_hidden: bool
    is_favorite: bool
    said_at: datetime


class ProfileFeedbackAnswer(Answer, frozen=True, kw_only=True):
    """`GET /v1/profiles/{profile_id}/feedback`: what was said last first."""

    titles: tuple[FeedbackAnswer, ...]


class TitleAnswer(Answer, frozen=True, kw_only=True):
    """A title as the page shows it."""

    content_id: str
    title: str
    description: str
    duration_ms: int
    genres: tuple[str, ...]
    language: str
    year: int
    maturity: int
    poster_url: str
    heights: tuple[int, ...]
    audio_languages: tuple[str, ...]
    subtitle_languages: tuple[str, ...]


class TitlesAnswer(Answer, frozen=True, kw_only=True):
    """A page of titles, and how to get the next one."""

    titles: tuple[TitleAnswer, ...]
    next_cursor: str | None = None


class HealthAnswer(Answer, frozen=True, kw_only=True):
    """`/livez`, `/readyz`."""

    status: Literal["ok", "unavailable"]
    broker_acknowledged_ms_ago: int | None = None
