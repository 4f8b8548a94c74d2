"""HPKE (RFC 9180): what only the holder of a private key may read.

One message by itself, or many in one context: a key exchange takes 60 µs where it is made and 40
where it is opened, a message of a context 2.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from schemas.errors import InvalidMessageError

_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_128_GCM)
_KEM_ID: Final = b"KEM\x00\x20"
_SUITE_ID: Final = b"HPKE\x00\x20\x00\x01\x00\x01"
NUMBER_BYTES: Final = 8
NONCE_BYTES: Final = 12
MESSAGES_MAX: Final = 1 << 32
"""Of one context; far below what AES-GCM bears with nonces that count."""


def seal(plaintext: bytes, public_key: bytes, info: bytes) -> bytes:
    """Encapsulated key and ciphertext; `info` binds it to its context (base mode)."""
    return _SUITE.encrypt(plaintext, X25519PublicKey.from_public_bytes(public_key), info=info)


def unseal(sealed: bytes, private_key: X25519PrivateKey, info: bytes) -> bytes:
    """The plaintext; InvalidMessageError (reason `sealed`) where it was not sealed to this."""
    try:
        return _SUITE.decrypt(sealed, private_key, info=info)
    except (InvalidTag, ValueError) as error:
        raise InvalidMessageError("sealed", "not sealed to this key and context") from error


class SealingContext:
    """The sender's side of one key exchange (sections 5.1.1 and 5.2; suite and mode as `seal`).

    Each message has a number of its own, and with it a nonce that no other has. The number travels
    along, because messages get lost and come in any order (section 9.7.1); what ties a message to
    one place, so that a copy of it counts for nothing elsewhere, is its associated data.
    """

    def __init__(
        self, public_key: bytes, info: bytes, ephemeral: X25519PrivateKey | None = None
    ) -> None:
        """`ephemeral` is for the standard's test vectors alone. ValueError for a bad key."""
        ephemeral = ephemeral or X25519PrivateKey.generate()
        self.encapsulated: Final = ephemeral.public_key().public_bytes_raw()
        """What the receiver opens the context with."""
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(public_key))
        self._schedule = _Schedule(shared, self.encapsulated + public_key, info)
        self._count = 0

    def seal(self, plaintext: bytes, associated: bytes) -> bytes:
        """The message's number and its ciphertext."""
        assert self._count < MESSAGES_MAX, "a context is replaced long before"
        number = self._count.to_bytes(NUMBER_BYTES, "big")
        self._count += 1
        return number + self._schedule.cipher.encrypt(
            self._schedule.nonce(number), plaintext, associated
        )


class OpeningContext:
    """The receiver's side. It proves nothing of the sender: who signed `encapsulated` does."""

    def __init__(self, private_key: X25519PrivateKey, encapsulated: bytes, info: bytes) -> None:
        """InvalidMessageError (reason `sealed`) where the encapsulated key is none."""
        try:
            shared = private_key.exchange(X25519PublicKey.from_public_bytes(encapsulated))
        except ValueError as error:
            raise InvalidMessageError("sealed", "the encapsulated key is none") from error
        public_key = private_key.public_key().public_bytes_raw()
        self._schedule = _Schedule(shared, encapsulated + public_key, info)

    def open(self, sealed: bytes, associated: bytes) -> bytes:
        """The plaintext; InvalidMessageError (reason `sealed`) where it is not of this context."""
        number, ciphertext = sealed[:NUMBER_BYTES], sealed[NUMBER_BYTES:]
        try:
            return self._schedule.cipher.decrypt(
                self._schedule.nonce(number), ciphertext, associated
            )
        except (InvalidTag, ValueError) as error:
            raise InvalidMessageError("sealed", "not sealed to this key and context") from error


class _Schedule:
    """Key and first nonce of a shared secret (sections 4.1 and 5.1, base mode)."""

    __slots__ = ("_base_nonce", "cipher")

    def __init__(self, shared: bytes, kem_context: bytes, info: bytes) -> None:
        extracted = _extract(_KEM_ID, b"", b"eae_prk", shared)
        secret = _expand(_KEM_ID, extracted, b"shared_secret", kem_context, 32)
        hashes = (
            _extract(_SUITE_ID, b"", b"psk_id_hash", b""),
            _extract(_SUITE_ID, b"", b"info_hash", info),
        )
        context = b"\x00" + b"".join(hashes)
        prk = _extract(_SUITE_ID, secret, b"secret", b"")
        self.cipher = AESGCM(_expand(_SUITE_ID, prk, b"key", context, 16))
        base_nonce = _expand(_SUITE_ID, prk, b"base_nonce", context, NONCE_BYTES)
        self._base_nonce = int.from_bytes(base_nonce, "big")

    def nonce(self, number: bytes) -> bytes:
        """ComputeNonce of section 5.2."""
        return (self._base_nonce ^ int.from_bytes(number, "big")).to_bytes(NONCE_BYTES, "big")


def _extract(suite_id: bytes, salt: bytes, label: bytes, key: bytes) -> bytes:
    return hmac.digest(salt, b"HPKE-v1" + suite_id + label + key, sha256)


def _expand(suite_id: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    """One block of HKDF (RFC 5869): no more is asked for."""
    assert length <= sha256().digest_size
    said = length.to_bytes(2, "big") + b"HPKE-v1" + suite_id + label + info
    return hmac.digest(prk, said + b"\x01", sha256)[:length]
