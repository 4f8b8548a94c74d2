"""Sessions, devices and stream slots: what the license agent decides about them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from schemas.catalog import ContentId, Tier

DeviceId = Annotated[str, Meta(min_length=1, max_length=128)]
Label = Annotated[str, Meta(max_length=128)]


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
    """The access token's: the agent waits until it has seen it."""
    profile_id: str
    content_id: ContentId
    device: Device
    region: str
    asn: int = 0
    network: str = ""


class ExtendSession(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="extend_session"
):
    """A new token for a session that goes on."""

    account_id: str
    session_id: str


class EndSession(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="end_session"):
    """Free the slot."""

    account_id: str
    session_id: str


class GetKeys(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="get_keys"):
    """A ClearKey license, or one raw key: answers the entitled subset."""

    account_id: str
    session_id: str
    key_ids: Annotated[tuple[str, ...], Meta(max_length=64)]
    """Hex."""
    system: Literal["clearkey", "identity"] = "clearkey"
    region: str = ""


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
    OpenSession | ExtendSession | EndSession | GetKeys | ListDevices | RemoveDevice
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


class Devices(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="devices"):
    """The account's devices."""

    devices: tuple[RegisteredDevice, ...]
