"""Sessions, devices and stream slots: what the license agent decides about them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from schemas.catalog import ContentId, KeyId, Tier

DeviceId = Annotated[str, Meta(min_length=1, max_length=128)]
Label = Annotated[str, Meta(max_length=128)]
PublicKeyText = Annotated[str, Meta(pattern=r"^([A-Za-z0-9_-]{43})?$")]
"""An X25519 public key (RFC 7748): 32 bytes in base64url without padding; empty: none."""
Nonce = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{16,64}$")]
"""What a client made up for one question, so that it knows an answer to another one."""
DRMSystem = Literal["widevine", "playready", "fairplay"]
"""Those whose licenses an upstream service makes."""
Robustness = Literal["software", "hardware"]
"""`hardware`: keys and pictures stay in a trusted execution environment (Widevine level 1,
PlayReady SL3000)."""
Region = Annotated[str, Meta(pattern=r"^[A-Z]{2}$")]
"""ISO 3166-1, two letters."""
Anonymizer = Literal["vpn", "hosting", "public-proxy", "residential-proxy", "tor"]
"""What hides where a viewer is: the kinds of MaxMind's Anonymous IP database."""


class Device(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """What the client says it is; it can only lower what the policy allows."""

    device_id: DeviceId
    model: Label = ""
    os: Label = ""
    player: Label = ""
    max_height: Annotated[int, Meta(ge=1, le=16384)] | None = None
    hdcp: Label = ""
    robustness: Robustness | Literal[""] = ""
    """The best that its DRM has; empty: not said. Who licenses asks the DRM itself."""
    public_key: PublicKeyText = ""
    """An own app's: its sessions get keys sealed to it, and no others."""


class SessionClaims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The session token's payload: all the gateway needs, so that nobody joins on the session."""

    iss: str
    aud: str
    jti: str
    iat: int
    exp: int
    """Seconds, as RFC 7519 has them."""
    sid: str
    account_id: str
    profile_id: str
    content_id: str
    title_version: int = 0
    tiers: tuple[Tier, ...] = ()
    max_height: int = 0
    max_bitrate_kbps: int = 0
    """Of the plan; 0: no limit."""
    region: str = ""
    plan: str = ""
    maturity: int = 18
    device_id: str = ""
    device_model: str = ""
    os: str = ""
    player: str = ""
    asn: int = 0
    network: str = ""


class Session(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="session"
):
    """The state of a session: `sessions.v1`."""

    session_id: str
    account_id: str
    profile_id: str
    content_id: str
    device: Device
    tiers: tuple[Tier, ...]
    max_height: int
    max_bitrate_kbps: int
    plan: str
    region: str
    asn: int = 0
    network: str = ""
    opened_at_ms: int
    expires_at_ms: int
    ended_at_ms: int | None = None
    ended_reason: str = ""


class Lease(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="lease"):
    """The session is alive: `session.leases.v1`, at most one per heartbeat interval."""

    account_id: str
    session_id: str
    at_ms: int


class SessionControl(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="session_control"
):
    """Gateways and edges refuse the session from now on: `session.control.v1`."""

    session_id: str
    is_refused: bool
    reason: str
    at_ms: int


# -- requests (license.requests.v1, key account) ----------------------------------------------


class OpenSession(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="open_session"):
    """May this profile play this content on this device now? Takes a slot."""

    session_id: str
    """Made by the gateway (UUIDv7), so that a retry of the same request takes the same slot."""
    account_id: str
    account_version: int
    """The newest that the gateway knows: the agent waits until it has seen it."""
    token_version: int | None = None
    """The access token's own: one from before everything was signed out opens no session. None:
    the token is an outside issuer's, who has signing out in hand."""
    unlocked_pin_set_at_ms: int | None = None
    """Of the proof that the profile's PIN was said; None: there is none."""
    profile_id: str
    content_id: ContentId
    device: Device
    region: str
    anonymizers: tuple[Anonymizer, ...] | None = None
    """Of the peer's address; None: no database says."""
    asn: int = 0
    network: str = ""


class ExtendSession(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="extend_session"
):
    """A new token for a session that goes on."""

    account_id: str
    session_id: str
    region: str = ""
    anonymizers: tuple[Anonymizer, ...] | None = None


class EndSession(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="end_session"):
    """Free the slot."""

    account_id: str
    session_id: str


class GetKeys(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="get_keys"):
    """A ClearKey license, one raw key, or keys sealed to a device: answers the entitled subset."""

    account_id: str
    session_id: str
    key_ids: Annotated[tuple[str, ...], Meta(max_length=64)]
    """Hex."""
    system: Literal["clearkey", "identity", "device"] = "clearkey"
    region: str = ""
    anonymizers: tuple[Anonymizer, ...] | None = None
    nonce: Annotated[str, Meta(max_length=64)] = ""
    """The device's, for keys sealed to it."""


class GetEntitlement(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="get_entitlement"
):
    """May an upstream service license these keys to the session's device? All of them, or none."""

    account_id: str
    session_id: str
    system: DRMSystem
    key_ids: Annotated[tuple[KeyId, ...], Meta(max_length=64)] = ()
    """Those that the message of the device's CDM names; empty: it does not say which."""
    is_checked_upstream: bool = False
    """The upstream licenses no key that the entitlement does not name. Where it does not check, a
    message that does not say its keys is taken to ask for all of the title's."""
    region: str = ""
    anonymizers: tuple[Anonymizer, ...] | None = None


class ListDevices(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="list_devices"):
    """Devices and running sessions of the account."""

    account_id: str


class RemoveDevice(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="remove_device"
):
    """Forget the device and end its sessions."""

    account_id: str
    device_id: str


LicenseAgentRequest = (
    OpenSession | ExtendSession | EndSession | GetKeys | GetEntitlement | ListDevices | RemoveDevice
)


# -- answers ----------------------------------------------------------------------------------


class SessionOpened(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="session_opened"
):
    """The slot is taken, or the token extended."""

    session_id: str
    session_token: str
    expires_at_ms: int


class SessionEnded(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="session_ended"
):
    """The slot is free."""

    session_id: str


class RegisteredDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A device that took a session once."""

    device_id: str
    model: str
    os: str
    first_seen_at_ms: int
    last_seen_at_ms: int
    session_ids: tuple[str, ...] = ()
    public_key: PublicKeyText = ""
    """The first that it said: its sessions are bound to it from then on."""


class Devices(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="devices"):
    """The account's devices."""

    devices: tuple[RegisteredDevice, ...]
