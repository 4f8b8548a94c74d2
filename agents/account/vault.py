"""Seals the private part of an account under the agent's own key (AES-256-GCM).

The associated data is account id and version: no part fits another account or an older state.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from msgspec.structs import replace

from agents.account.state import AccountState, Private
from schemas import codec
from schemas.accounts import Account
from schemas.errors import InvalidMessageError
from schemas.secrets import SecretBytes

NONCE_BYTES: Final = 12
_private: codec.Decoder[Private] = codec.Decoder(Private)


class Vault:
    """Seals and opens accounts; also the source of each request's own randomness."""

    def __init__(
        self, key: SecretBytes, *, nonce: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        assert len(key.reveal()) == 32
        self._cipher = AESGCM(_derived(key, b"playhead account sealing v1"))
        self._randomness_key = _derived(key, b"playhead account randomness v1")
        self._nonce = nonce

    def __repr__(self) -> str:
        return "Vault(***)"

    def seal(self, state: AccountState) -> Account:
        """The account as it may stand in the log."""
        nonce = self._nonce(NONCE_BYTES)
        plaintext = codec.encode(state.private)
        sealed = self._cipher.encrypt(nonce, plaintext, _context(state.account))
        return replace(state.account, sealed=nonce + sealed)

    def open(self, account: Account) -> AccountState:
        """Both parts; InvalidMessageError (reason `sealed`) where this key did not seal it."""
        nonce, sealed = account.sealed[:NONCE_BYTES], account.sealed[NONCE_BYTES:]
        try:
            plaintext = self._cipher.decrypt(nonce, sealed, _context(account))
        except (InvalidTag, ValueError) as error:
            raise InvalidMessageError("sealed", "the account was sealed by another key") from error
        return AccountState(replace(account, sealed=b""), _private.decode(plaintext))

    def randomness(self, account_id: str, request_id: str) -> bytes:
        """64 bytes, the same for a redelivered request, so that its answer is the same too."""
        message = f"{account_id}\x1f{request_id}".encode()
        return hmac.digest(self._randomness_key, message, "sha512")


def _derived(key: SecretBytes, purpose: bytes) -> bytes:
    return HKDFExpand(algorithm=SHA256(), length=32, info=purpose).derive(key.reveal())


def _context(account: Account) -> bytes:
    return f"playhead account v1\x1f{account.account_id}\x1f{account.version}".encode()
