"""Licenses and content keys: what was decided and why; keys only wrapped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from schemas.catalog import ContentId, KeyId, Tier
from schemas.revocations import RevokedKind
from schemas.sessions import Anonymizer, DRMSystem, Robustness, Session

DenialReason = Literal[
    "subscription",
    "plan",
    "region",
    "anonymizer",
    "window",
    "rental",
    "maturity",
    "device",
    "device-limit",
    "device-key",
    "device-bound",
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
    "profile-pin",
    "signed-out",
    "revoked",
]


FACTS_REVISION: Final = 2
"""Raised with every fact that is added: an older decision has the default where it has no fact."""


class Rental(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an account has of a title that it may see for a time only."""

    first_seen_at_ms: int
    """When it first opened a session on it."""
    rented_until_ms: int | None = None
    """Playback must have begun before; None: at any time."""
    playback_until_ms: int | None = None
    """Playback has begun, and ends here."""

    @property
    def ends_at_ms(self) -> int | None:
        """When nothing may be played any more; None: not by the rental."""
        begun = self.playback_until_ms
        return begun if begun is not None else self.rented_until_ms


class DecisionFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Every fact a decision used: `agents.license.policy` judges by these and nothing else."""

    revision: int = 0
    """`FACTS_REVISION` of who wrote it; 0: of before there was one."""
    missing: tuple[Literal["account", "profile", "title"], ...] = ()
    """What was not known at all."""
    plan: str = ""
    subscription_state: str = ""
    subscription_until_ms: int | None = None
    is_closed: bool = False
    """The account."""
    is_signed_out: bool = False
    """Token or session are from before everything was signed out."""
    is_locked: bool = False
    """The profile has a PIN, and nobody showed that it was said."""
    revoked: RevokedKind | Literal[""] = ""
    """What of account, device and session an operator took back."""
    region: str = ""
    anonymizers: tuple[Anonymizer, ...] | None = None
    """None: no database says."""
    title_regions: tuple[str, ...] = ()
    title_plans: tuple[str, ...] = ()
    tier_heights: Mapping[Tier, int] = {}
    """The lowest rendition of each of the title's tiers, in lines."""
    available_from_ms: int | None = None
    available_until_ms: int | None = None
    title_maturity: int = 0
    profile_maturity: int = 0
    rental: Rental | None = None
    """What the account had of the title before."""
    device_id: str = ""
    device_model: str = ""
    device_max_height: int | None = None
    device_hdcp: str = ""
    device_robustness: Robustness | Literal[""] = ""
    is_registered: bool = False
    """The device was the account's before."""
    device_public_key: str = ""
    registered_public_key: str = ""
    """What the device said, and what it had registered before."""
    device_count: int = 0
    device_limit: int = 0
    stream_count: int = 0
    stream_limit: int = 0
    lease_ms: int = 0
    """Without traffic for so long, a session's slot was not counted."""
    running_session_ids: tuple[str, ...] = ()
    """Those that hold the account's slots, oldest first; the viewer may stop one."""
    tiers_asked: tuple[Tier | Literal[""], ...] = ()
    """Of `key_ids_asked`, one by one; empty: not a key of the title, or revoked."""
    session_tiers: tuple[Tier, ...] = ()
    """What the session might play when a license was asked for."""
    title_version: int = 0
    account_version: int = 0
    max_height: int = 0


class Protection(msgspec.Struct, frozen=True, kw_only=True):
    """What a device must have before it may use a key."""

    robustness: Robustness = "software"
    hdcp: Literal["", "1.4", "2.2"] = ""
    """The least HDCP version of digital outputs; empty: not asked for."""


class EntitledKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key that may be licensed; not the key itself."""

    key_id: KeyId
    tier: Tier
    protection: Protection = Protection()


class Entitlement(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="type",
    tag="entitlement",
):
    """What an upstream license service may license, and how: policy in terms that all of them have.

    Carries no key: the upstream has them, or derives them.
    """

    decision_id: str
    system: DRMSystem
    session_id: str
    content_id: ContentId
    keys: tuple[EntitledKey, ...]
    granted_at_ms: int
    expires_at_ms: int
    """The license's end, by the wall clock."""
    renewal_ms: int = 0
    """The license is asked for again this long after its start and falls silent where nobody grants
    it, as far as the system can; 0: once is enough."""
    is_persistent: bool = False


class LicenseDecision(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="type",
    tag="license_decision",
):
    """Granted or denied, and why: `license.decisions.v1`. Never a key.

    `previous` is the hash of the partition's decision before this one, `number` one more than its
    (a chain: `streams/chain.py`).
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
    entitlement: Entitlement | None = None
    """What an upstream service was told that it may license."""
    rental: Rental | None = None
    """What the account has of the title from now on."""
    stopped_session_ids: tuple[str, ...] = ()
    """Sessions that ended to make room for this one."""
    number: int = 0
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


class BoundKeys(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="bound_keys"):
    """Keys that only the session's device can read (`streams.binding`)."""

    key_ids: tuple[KeyId, ...]
    device_id: str
    sealed: bytes


class WrappedKey(msgspec.Struct, frozen=True, kw_only=True):
    """One content key at rest: `content.keys.v1`.

    `wrapped` = nonce (12 bytes) + AES-256-GCM under a key-encryption key, whose associated data is
    content id, key id, tier, KEK version and period.
    """

    key_id: KeyId
    content_id: ContentId
    tier: Tier
    kek_version: int
    wrapped: bytes
    created_at_ms: int
    kek_id: str = ""
    """The key-encryption key itself; empty: the version of that number in `kek.json`, from before
    they lay in the log."""
    period: Annotated[int, Meta(ge=0)] = 0
    """Crypto-period: the how many-th key of its content and tier this is (CPIX 2.3,
    ContentKeyPeriod@index). Always 0 for titles that are stored; live content counts up."""


class KeyEncryptionKey(msgspec.Struct, frozen=True, kw_only=True):
    """A version of what wraps content keys, itself wrapped: `key.encryption.keys.v1`.

    `wrapped` is the root's own format; its associated data is KEK id, version and root.
    """

    kek_id: KeyId
    version: Annotated[int, Meta(ge=1)]
    """The highest that is not retired wraps; a number may come twice, an id never."""
    root: str
    """Who wrapped it: the name of a key provider's root key."""
    wrapped: bytes
    created_at_ms: int
    retired_at_ms: int | None = None
    """From then on it wraps nothing and nothing lies under it. It stays readable for the root, so
    that a backup of before still opens."""


class RotateKeyEncryptionKey(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="rotate_key_encryption_key"
):
    """An operator asks for the next piece of a rotation, again and again until nothing is left."""

    from_kek_id: str
    """A new version is made only where this is the current one still (empty: where there is none):
    so that asking twice rotates once."""


class KeyRotation(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="key_rotation"):
    """What a piece of a rotation did, and what is left."""

    kek_id: str
    version: int
    """Current now."""
    rewrapped: int
    left: int
    """Content keys under other versions."""
    stuck: tuple[KeyId, ...] = ()
    """Of those left: what cannot be unwrapped, the first hundred; their version is not retired."""
    retired: tuple[int, ...] = ()
    """Versions, by this piece."""


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
