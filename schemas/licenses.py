"""Licenses and content keys: what was decided and why; keys only wrapped."""

from __future__ import annotations

from typing import Literal

import msgspec

from schemas.catalog import ContentId, KeyId, Tier
from schemas.sessions import Session

DenialReason = Literal[
    "subscription",
    "plan",
    "region",
    "window",
    "maturity",
    "device",
    "device-limit",
    "concurrent-streams",
    "tier",
    "foreign-key",
    "unknown-key",
    "unknown-session",
    "unknown-profile",
    "unknown-content",
    "session-ended",
    "session-expired",
    "key-service",
    "stale-account",
]


class DecisionFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Every fact a decision used, so that it can be judged again later."""

    plan: str = ""
    subscription_state: str = ""
    region: str = ""
    title_regions: tuple[str, ...] = ()
    available_from_ms: int | None = None
    available_until_ms: int | None = None
    title_maturity: int = 0
    profile_maturity: int = 0
    device_id: str = ""
    device_model: str = ""
    device_count: int = 0
    device_limit: int = 0
    stream_count: int = 0
    stream_limit: int = 0
    running_session_ids: tuple[str, ...] = ()
    """Those that hold the account's slots; the viewer may stop one."""
    title_version: int = 0
    account_version: int = 0
    max_height: int = 0


class LicenseDecision(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="type",
    tag="license_decision",
):
    """Granted or denied, and why: `license.decisions.v1`. Never a key.

    `previous` is the hash of the partition's decision before this one (a chain).
    """

    decision_id: str
    request_id: str
    action: Literal["open", "extend", "end", "license", "remove_device", "lapse", "resume"]
    """`lapse`: idle too long, ended; `resume`: traffic after its slot lapsed asks for it again."""
    outcome: Literal["granted", "denied"]
    reason: str
    """`ok`, or a DenialReason."""
    account_id: str
    session_id: str
    profile_id: str = ""
    content_id: str = ""
    system: str = ""
    key_ids_asked: tuple[str, ...] = ()
    key_ids_granted: tuple[str, ...] = ()
    tiers: tuple[Tier, ...] = ()
    facts: DecisionFacts
    policy_version: str
    decided_at_ms: int
    source_partition: int
    source_offset: int
    """The request's place in the log: a request applied once is not applied again."""
    session: Session | None = None
    """What was opened or extended: with it the ledger is rebuilt from decisions alone."""
    previous: str = ""
    canary: bool = False


class ClearKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key of an answer; exists only sealed or in memory."""

    key_id: KeyId
    key: bytes

    def __repr__(self) -> str:
        return f"ClearKey({self.key_id}, ***)"


class Keys(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="keys"):
    """The entitled subset of the asked keys."""

    keys: tuple[ClearKey, ...]


class WrappedKey(msgspec.Struct, frozen=True, kw_only=True):
    """One content key at rest: `content.keys.v1`.

    `wrapped` = nonce (12 bytes) + AES-256-GCM, whose associated data is
    content id, key id, tier and KEK version.
    """

    key_id: KeyId
    content_id: ContentId
    tier: Tier
    kek_version: int
    wrapped: bytes
    created_at_ms: int


class RequestContentKeys(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="request_content_keys"
):
    """A packager asks for a content's keys, one per tier; missing ones are made."""

    content_id: ContentId
    tiers: tuple[Tier, ...]


class TierKey(msgspec.Struct, frozen=True, kw_only=True):
    """A packager's key; exists only sealed or in memory."""

    tier: Tier
    key_id: KeyId
    key: bytes

    def __repr__(self) -> str:
        return f"TierKey({self.tier}, {self.key_id}, ***)"


class ContentKeys(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="content_keys"):
    """The keys to encrypt with."""

    content_id: ContentId
    keys: tuple[TierKey, ...]
