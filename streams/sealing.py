"""HPKE (RFC 9180): what only the holder of a private key may read."""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from schemas.errors import InvalidMessageError

_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_128_GCM)


def seal(plaintext: bytes, public_key: bytes, info: bytes) -> bytes:
    """Encapsulated key and ciphertext; `info` binds it to its context (base mode)."""
    return _SUITE.encrypt(plaintext, X25519PublicKey.from_public_bytes(public_key), info=info)


def unseal(sealed: bytes, private_key: X25519PrivateKey, info: bytes) -> bytes:
    """The plaintext; InvalidMessageError (reason `sealed`) where it was not sealed to this."""
    try:
        return _SUITE.decrypt(sealed, private_key, info=info)
    except (InvalidTag, ValueError) as error:
        raise InvalidMessageError("sealed", "not sealed to this key and context") from error
