"""Each account's own key: made with the account, wrapped in the log, destroyed with the account.

Erasing by destroying a key (crypto-shredding) reaches what no deletion reaches: older records of
`accounts.v1`, copies of the log's files, backups.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from schemas.accounts import DataKey
from schemas.errors import InvalidMessageError
from schemas.secrets import SecretBytes
from streams.records import Record

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12


def derived(key: SecretBytes, purpose: bytes) -> bytes:
    """A key for one purpose (HKDF-Expand, RFC 5869, section 2.3)."""
    return HKDFExpand(algorithm=SHA256(), length=KEY_BYTES, info=purpose).derive(key.reveal())


class DataKeys:
    """The keys of all accounts as `account.keys.v1` has them; unwrapped only for use."""

    def __init__(
        self, key: SecretBytes, *, randomness: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._cipher = AESGCM(derived(key, b"playhead account data keys v1"))
        self._randomness = randomness
        self._keys: dict[str, DataKey] = {}
        self._published: dict[str, int] = {}
        """By account, the offset of the last record of this process: its echo comes late."""

    def __repr__(self) -> str:
        return "DataKeys(***)"

    def take(self, record: Record[DataKey | None]) -> None:
        """A record of `account.keys.v1`; without a value the key is destroyed."""
        if record.offset <= self._published.get(record.key, -1):
            return
        if record.value is None:
            self._keys.pop(record.key, None)
        elif record.value.account_id == record.key:
            self._keys[record.key] = record.value

    def __contains__(self, account_id: str) -> bool:
        return account_id in self._keys

    def make(self, account_id: str, now_ms: int) -> DataKey:
        """A new key, kept from now on; it is to be published before anything is sealed under it."""
        nonce = self._randomness(NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, self._randomness(KEY_BYTES), _context(account_id))
        made = DataKey(account_id=account_id, wrapped=nonce + sealed, created_at_ms=now_ms)
        self._keys[account_id] = made
        return made

    def published(self, account_id: str, offset: int) -> None:
        """What is kept of the account stands at this offset; earlier records say nothing more."""
        self._published[account_id] = offset

    def forget(self, account_id: str) -> None:
        """Keep it no longer; its record is to be removed from the log."""
        self._keys.pop(account_id, None)

    def unwrap(self, account_id: str) -> SecretBytes:
        """The account's key. Raises InvalidMessageError (reason `sealed`) where there is none."""
        kept = self._keys.get(account_id)
        if kept is None:
            raise InvalidMessageError("sealed", "the account's own key is not there")
        nonce, wrapped = kept.wrapped[:NONCE_BYTES], kept.wrapped[NONCE_BYTES:]
        try:
            return SecretBytes(self._cipher.decrypt(nonce, wrapped, _context(account_id)))
        except (InvalidTag, ValueError) as error:
            raise InvalidMessageError(
                "sealed", "the account's key was wrapped by another"
            ) from error


def _context(account_id: str) -> bytes:
    return f"playhead account data key v1\x1f{account_id}".encode()
