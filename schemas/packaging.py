"""What packagers outside ask and get: content keys under a contract, for their certificates only.

Packagers inside (`playhead content add`) ask with `schemas.licenses.RequestContentKeys`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from schemas.catalog import ContentId, KeyId, Tier
from schemas.envelope import Role
from schemas.licenses import RequestContentKeys, RotateKeyEncryptionKey

KEYS_MAX = 8
"""Of one request: twice what there are tiers, so that who asks for too many is told why."""
CERTIFICATES_MAX = 8
CERTIFICATE_BYTES_MAX = 8_192

Pixels = Annotated[int, Meta(ge=0, lt=1 << 32)]


class TrackFilter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tracks that a key is for; pixels are encoded width × height, bounds included.

    CPIX 2.3, VideoFilter and AudioFilter. What only narrows (frame rate, HDR, channels) is left
    out: a tier does not depend on it.
    """

    kind: Literal["video", "audio"]
    min_pixels: Pixels | None = None
    max_pixels: Pixels | None = None


class AskedKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key of the contract: the id that the packager gives it, and the tracks that it is for."""

    key_id: KeyId
    track_type: Annotated[str, Meta(min_length=1, max_length=64)]
    """CPIX's intendedTrackType: names joined by `+`."""
    filters: Annotated[tuple[TrackFilter, ...], Meta(min_length=1, max_length=16)]


class RequestPackagerKeys(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="request_packager_keys"
):
    """A packager outside asks for a content's keys; missing ones are made."""

    content_id: ContentId
    keys: Annotated[tuple[AskedKey, ...], Meta(min_length=1, max_length=KEYS_MAX)]
    certificates: Annotated[
        tuple[Annotated[bytes, Meta(max_length=CERTIFICATE_BYTES_MAX)], ...],
        Meta(max_length=CERTIFICATES_MAX),
    ] = ()
    """X.509, DER: who may read the keys. None: the keys are asked for in clear."""
    sender: Annotated[str, Meta(max_length=128)] = ""
    """Whom the token was made for: for the record alone."""


class KeysDelivered(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="type",
    tag="keys_delivered",
):
    """A content's keys left the license agent: `key.deliveries.v1`. Never a key."""

    IDENTITY: ClassVar[tuple[str, ...]] = ("request_id",)
    request_id: str
    """The same for every retry of the same question."""
    content_id: ContentId
    key_ids: tuple[KeyId, ...]
    tiers: tuple[Tier, ...]
    """In the order of `key_ids`."""
    asker: str
    """Id of the key that signed the request, and what that component is."""
    asker_role: Role
    sender: str = ""
    """Whom the token was made for; empty inside."""
    certificates: tuple[str, ...] = ()
    """SHA-256 of the DER of each that can read them, hexadecimal; none: in clear."""
    at_ms: int


KeyRequest = RequestContentKeys | RequestPackagerKeys | RotateKeyEncryptionKey


class EncryptedValue(msgspec.Struct, frozen=True, kw_only=True):
    """A ciphertext and its MAC (HMAC-SHA512)."""

    cipher_value: bytes
    value_mac: bytes


class KeyDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """What one certificate's owner opens the answer with; both RSA-OAEP for its public key."""

    certificate: bytes
    document_key: EncryptedValue
    mac_key: EncryptedValue


class EncryptedContentKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key under the document key: IV (16 bytes) and AES-256-CBC."""

    key_id: KeyId
    """The key's own: not the asked one where the content's tier had a key before."""
    value: EncryptedValue


class EncryptedContentKeys(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="encrypted_content_keys"
):
    """The keys in the order that they were asked in, readable for the certificates' owners only."""

    content_id: ContentId
    deliveries: tuple[KeyDelivery, ...]
    """In the order of the asked certificates."""
    keys: tuple[EncryptedContentKey, ...]
