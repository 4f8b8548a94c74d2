"""The root key in a private file: for one machine, and where no hardware holds it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from agents.license.key_encryption import KeyServiceError, Wrapped
from infra.keys.files import KeyFileError, read_private
from schemas.secrets import SecretBytes

ROOT_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class FileKeyProvider:
    """A `KeyProvider` whose root is 32 bytes in a file (AES-256-GCM, the nonce before).

    The file is read at every call: one that is gone, damaged or readable by others counts at once.
    """

    root = "file"
    grace_ms = 0

    def __init__(self, path: Path) -> None:
        self._path = path

    def __repr__(self) -> str:
        return f"FileKeyProvider({self._path})"

    async def wrap(self, key: SecretBytes, context: bytes) -> bytes:
        """Nonce and ciphertext; raises KeyServiceError."""
        cipher = await asyncio.to_thread(self._cipher)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + cipher.encrypt(nonce, key.reveal(), context)

    async def unwrap(self, keys: Sequence[Wrapped]) -> Sequence[SecretBytes | KeyServiceError]:
        """Each key, or that another root wrapped it; raises KeyServiceError."""
        cipher = await asyncio.to_thread(self._cipher)
        return [self._opened(cipher, key) for key in keys]

    def _opened(self, cipher: AESGCM, key: Wrapped) -> SecretBytes | KeyServiceError:
        nonce, sealed = key.wrapped[:_NONCE_BYTES], key.wrapped[_NONCE_BYTES:]
        try:
            return SecretBytes(cipher.decrypt(nonce, sealed, key.context))
        except (InvalidTag, ValueError):
            return KeyServiceError(f"another root than {self._path} wrapped it: restore that file")

    def _cipher(self) -> AESGCM:
        try:
            content = read_private(self._path)
        except KeyFileError as error:
            raise KeyServiceError(str(error)) from error
        if len(content) != ROOT_BYTES:
            raise KeyServiceError(f"{self._path} is damaged: restore it")
        return AESGCM(content)
