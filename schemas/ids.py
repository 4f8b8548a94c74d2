"""Identifiers: how they are made and how they are written."""

from __future__ import annotations

import base64
import hmac
from hashlib import sha256
from uuid import UUID

from schemas.errors import InvalidMessageError
from schemas.secrets import SecretBytes

KEY_ID_BYTES = 16


def uuid7(at_ms: int, randomness: bytes) -> UUID:
    """A version 7 UUID (RFC 9562, section 5.7) from Unix milliseconds and 10 random bytes."""
    return UUID(bytes=_uuid7_bytes(at_ms, randomness))


def uuid7_text(at_ms: int, randomness: bytes) -> str:
    """`str(uuid7(…))` in a quarter of the time: once per event."""
    text = _uuid7_bytes(at_ms, randomness).hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _uuid7_bytes(at_ms: int, randomness: bytes) -> bytes:
    assert len(randomness) == 10
    value = bytearray((at_ms & ((1 << 48) - 1)).to_bytes(6, "big") + randomness)
    value[6] = 0x70 | (value[6] & 0x0F)
    value[8] = 0x80 | (value[8] & 0x3F)
    return bytes(value)


def uuid7_at_ms(value: UUID) -> int:
    """The Unix milliseconds in which a version 7 UUID was made."""
    return int.from_bytes(value.bytes[:6], "big")


def derive_account_id(secret: SecretBytes, *parts: str) -> str:
    """The account id: HMAC of the address (case-folded), or of issuer and subject.

    So a sign-in can be keyed before anything is known about the account, and the id tells nothing.
    """
    digest = hmac.digest(secret.reveal(), "\x1f".join(parts).casefold().encode(), sha256)
    value = bytearray(digest[:16])
    value[6] = 0x80 | (value[6] & 0x0F)  # version 8: custom (RFC 9562, section 5.8)
    value[8] = 0x80 | (value[8] & 0x3F)
    return str(UUID(bytes=bytes(value)))


def key_id_from_base64url(text: str) -> str:
    """The hex form of a key id as W3C EME writes it (base64url, no padding).

    Raises InvalidMessageError where it is not 16 bytes.
    """
    try:
        value = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError as error:
        raise InvalidMessageError("key-id", "not base64url") from error
    if len(value) != KEY_ID_BYTES:
        raise InvalidMessageError("key-id", f"{len(value)} bytes where 16 are needed")
    return value.hex()


def base64url(value: bytes) -> str:
    """Base64url without padding (RFC 4648, section 5), as JOSE and EME write bytes."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
