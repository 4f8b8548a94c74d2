"""Seals the private part of an account under the account's own key (AES-256-GCM).

The associated data is account id and version: no part fits another account or an older state.
Destroying the key (`data_keys`) makes all of it unreadable, in every copy.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec.structs import replace

from agents.account.data_keys import DataKeys, derived
from agents.account.state import AccountState, Private
from schemas import codec
from schemas.accounts import Account, Profile
from schemas.errors import InvalidMessageError
from schemas.secrets import SecretBytes

NONCE_BYTES: Final = 12


class _Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """What is sealed: the private part, and what is personal in the part that others read."""

    private: Private
    names: dict[str, str]
    """Of profiles, by their ids."""


_sealed: Final[codec.Decoder[_Sealed]] = codec.Decoder(_Sealed)
_private: Final[codec.Decoder[Private]] = codec.Decoder(Private)


class Vault:
    """Seals and opens accounts; also the source of each request's own randomness."""

    def __init__(
        self, key: SecretBytes, *, nonce: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        assert len(key.reveal()) == 32
        self.data_keys = DataKeys(key)
        self._shared = AESGCM(derived(key, b"playhead account sealing v1"))
        self._randomness_key = derived(key, b"playhead account randomness v1")
        self._nonce = nonce

    def __repr__(self) -> str:
        return "Vault(***)"

    def seal(self, state: AccountState) -> Account:
        """The account as it may stand in the log; its own key must be there.

        Raises InvalidMessageError (reason `sealed`) where it is not.
        """
        account = state.account
        if account.erased_at_ms is not None:
            assert state.private == Private()
            assert not account.profiles
            return account
        names = {profile.profile_id: profile.name for profile in account.profiles}
        plaintext = codec.encode(_Sealed(private=state.private, names=names))
        nonce = self._nonce(NONCE_BYTES)
        sealed = self._cipher(account).encrypt(nonce, plaintext, _context(account, 2))
        return replace(account, profiles=_named(account, {}), sealed=nonce + sealed)

    def open(self, account: Account) -> AccountState:
        """Both parts; InvalidMessageError (reason `sealed`) where this key did not seal it."""
        nonce, sealed = account.sealed[:NONCE_BYTES], account.sealed[NONCE_BYTES:]
        if account.account_id in self.data_keys:
            try:
                plaintext = self._cipher(account).decrypt(nonce, sealed, _context(account, 2))
            except (InvalidTag, ValueError):
                pass  # its first change since accounts have keys of their own was cut short
            else:
                opened = _sealed.decode(plaintext)
                profiles = _named(account, opened.names)
                public = replace(account, profiles=profiles, sealed=b"")
                return AccountState(public, opened.private)
        return self._open_shared(account, nonce, sealed)

    def _open_shared(self, account: Account, nonce: bytes, sealed: bytes) -> AccountState:
        """As accounts were sealed before each had a key of its own; the next change seals anew."""
        try:
            plaintext = self._shared.decrypt(nonce, sealed, _context(account, 1))
        except (InvalidTag, ValueError) as error:
            raise InvalidMessageError("sealed", "the account was sealed by another key") from error
        return AccountState(replace(account, sealed=b""), _private.decode(plaintext))

    def randomness(self, account_id: str, request_id: str) -> bytes:
        """64 bytes, the same for a redelivered request, so that its answer is the same too."""
        message = f"{account_id}\x1f{request_id}".encode()
        return hmac.digest(self._randomness_key, message, "sha512")

    def _cipher(self, account: Account) -> AESGCM:
        return AESGCM(self.data_keys.unwrap(account.account_id).reveal())


def _named(account: Account, names: Mapping[str, str]) -> tuple[Profile, ...]:
    return tuple(
        replace(profile, name=names.get(profile.profile_id, "")) for profile in account.profiles
    )


def _context(account: Account, version: int) -> bytes:
    return f"playhead account v{version}\x1f{account.account_id}\x1f{account.version}".encode()
