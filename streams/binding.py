"""Keys sealed to one device: a captured answer is worthless on another, and in another session.

HPKE in base mode (RFC 9180, section 5.1.1; DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM).
The transcript goes into `info`, which every key of the exchange is derived from (section 5.1): who
opens an answer under another transcript derives another key.
"""

from __future__ import annotations

import base64
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from schemas.errors import InvalidMessageError
from schemas.ids import base64url
from schemas.licenses import ClearKey
from streams.sealing import seal, unseal

_LABEL: Final = b"playhead device-bound keys v1"
KEY_BYTES: Final = 16


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer counts for, and nothing else."""

    session_id: str
    device_id: str
    nonce: str
    """The device's own: an answer to an earlier question does not open."""
    key_ids: tuple[str, ...]
    """In hex, in the order of the answer."""

    def encoded(self) -> bytes:
        """Label, then each field after its length (2 bytes, big-endian): no two read alike."""
        texts = (self.session_id, self.device_id, self.nonce, *self.key_ids)
        fields = (text.encode() for text in texts)
        return _LABEL + b"".join(len(field).to_bytes(2, "big") + field for field in fields)


def read_public_key(text: str) -> bytes:
    """The 32 bytes of a device's public key in base64url.

    Raises InvalidMessageError (reason `device-key`) for what is none, and for the points of small
    order, whose shared secrets everybody knows (RFC 7748, section 6.1).
    """
    refused = InvalidMessageError("device-key", "not an X25519 public key in base64url")
    try:
        value = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(value))
    except ValueError as error:
        raise refused from error
    if base64url(value) != text:  # one key has one text, or rules would take it for two
        raise refused
    return value


def bind_keys(keys: tuple[ClearKey, ...], public_key: bytes, transcript: Transcript) -> bytes:
    """The keys, 16 bytes each in the transcript's order, sealed to the device.

    The encapsulated key (32 bytes) stands first.
    """
    assert tuple(key.key_id for key in keys) == transcript.key_ids
    assert all(len(key.key) == KEY_BYTES for key in keys)
    return seal(b"".join(key.key for key in keys), public_key, transcript.encoded())


def open_keys(
    sealed: bytes, private_key: X25519PrivateKey, transcript: Transcript
) -> tuple[ClearKey, ...]:
    """What a device does: the keys, where the answer is for it and for this transcript.

    Raises InvalidMessageError (reason `sealed`).
    """
    plaintext = unseal(sealed, private_key, transcript.encoded())
    if len(plaintext) != KEY_BYTES * len(transcript.key_ids):
        raise InvalidMessageError("sealed", "as many keys as key ids are needed")
    return tuple(
        ClearKey(key_id=key_id, key=plaintext[index * KEY_BYTES : (index + 1) * KEY_BYTES])
        for index, key_id in enumerate(transcript.key_ids)
    )
