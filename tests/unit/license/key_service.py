"""Roots and key-encryption keys in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from agents.license.key_encryption import KeyEncryptionKeys, KeyServiceError, Wrapped
from schemas.licenses import KeyEncryptionKey
from schemas.secrets import SecretBytes
from tests.gateway_fakes import MemoryClock

NONCE = b"n" * 12


class MemoryRoot:
    """A `KeyProvider`; `away` says why it does not answer, `hangs` that it never does."""

    def __init__(self, root: str = "memory", *, grace_ms: int = 0, key: bytes = b"r" * 32) -> None:
        self.root = root
        self.grace_ms = grace_ms
        self.away = ""
        self.hangs = False
        self.calls: list[int] = []
        """How many keys each call unwrapped."""
        self._cipher = AESGCM(key)

    async def wrap(self, key: SecretBytes, context: bytes) -> bytes:
        await self._answer()
        return NONCE + self._cipher.encrypt(NONCE, key.reveal(), context)

    async def unwrap(self, keys: Sequence[Wrapped]) -> Sequence[SecretBytes | KeyServiceError]:
        await self._answer()
        self.calls.append(len(keys))
        return [self._opened(key) for key in keys]

    async def _answer(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.away:
            raise KeyServiceError(self.away)

    def _opened(self, key: Wrapped) -> SecretBytes | KeyServiceError:
        try:
            opened = self._cipher.decrypt(key.wrapped[:12], key.wrapped[12:], key.context)
        except (InvalidTag, ValueError):
            return KeyServiceError("another root wrapped it")
        return SecretBytes(opened)


def keks_of(*roots: MemoryRoot, clock: MemoryClock | None = None) -> KeyEncryptionKeys:
    """As a worker has them before it has read anything."""
    return KeyEncryptionKeys(roots or (MemoryRoot(),), clock=clock or MemoryClock())


def give(keks: KeyEncryptionKeys, version: int = 1, **changes: object) -> KeyEncryptionKey:
    """A version that the log has and that is unwrapped, without a loop."""
    given: dict[str, object] = {
        "kek_id": f"{version:032x}",
        "version": version,
        "root": "memory",
        "wrapped": b"",
        "created_at_ms": 0,
    }
    kek = KeyEncryptionKey(**(given | changes))  # type: ignore[arg-type]  # varied by tests
    keks.keep(kek)
    keks._hold(kek, SecretBytes(bytes([version]) * 32))
    return kek


def lose(keks: KeyEncryptionKeys, why: str = "the root is away: bring it back") -> None:
    """As after a refresh that no root answered."""
    keks._lose(tuple(keks.known), why)
