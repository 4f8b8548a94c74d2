"""The key-encryption key in a private file: versions, of which the newest wraps.

The file is looked at again at every use, so that a rotation counts at once, and a file that is
gone, damaged or readable by others fails closed at once.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from agents.license.keys import KeyServiceError
from infra.keys.files import KeyFileError, read_private, write_private
from schemas import codec
from schemas.errors import InvalidMessageError
from schemas.secrets import SecretBytes

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12


class KekFile(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says."""

    current: int
    keys: dict[str, bytes]
    """By version, in decimal."""

    def __repr__(self) -> str:
        return f"KekFile(current={self.current}, ***)"


_files: Final[codec.Decoder[KekFile]] = codec.Decoder(KekFile)


def create_kek(path: Path) -> None:
    """Write the first version."""
    content = KekFile(current=1, keys={"1": secrets.token_bytes(KEY_BYTES)})
    write_private(path, codec.encode(content))


def rotate_kek(path: Path) -> int:
    """Add a version that wraps from now on; the older ones go on unwrapping what they wrapped."""
    old = _files.decode(read_private(path))
    version = max(map(int, old.keys)) + 1
    keys = {**old.keys, str(version): secrets.token_bytes(KEY_BYTES)}
    write_private(path, codec.encode(KekFile(current=version, keys=keys)))
    return version


class FileKeyProvider:
    """A `KeyProvider` on one private file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._current = 0
        self._ciphers: dict[int, AESGCM] = {}

    def __repr__(self) -> str:
        return f"FileKeyProvider({self._path})"

    def current_version(self) -> int:
        """The version that new keys are wrapped under; raises KeyServiceError."""
        self._look()
        return self._current

    def wrap(self, version: int, key: SecretBytes, context: bytes) -> bytes:
        """Nonce and ciphertext; raises KeyServiceError."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher(version).encrypt(nonce, key.reveal(), context)

    def unwrap(self, version: int, wrapped: bytes, context: bytes) -> SecretBytes:
        """The key; raises KeyServiceError where key, version or context is another."""
        nonce, sealed = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
        try:
            return SecretBytes(self._cipher(version).decrypt(nonce, sealed, context))
        except (InvalidTag, ValueError) as error:
            raise KeyServiceError("a content key was wrapped by another key") from error

    def _cipher(self, version: int) -> AESGCM:
        self._look()
        cipher = self._ciphers.get(version)
        if cipher is None:
            raise KeyServiceError(f"there is no key-encryption key of version {version}")
        return cipher

    def _look(self) -> None:
        """Read the file where it is another than the one that was read last."""
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_ino, status.st_mode)
            if seen == self._seen:
                return
            content = _files.decode(read_private(self._path))
            ciphers = {int(version): AESGCM(key) for version, key in content.keys.items()}
        except (OSError, ValueError, KeyFileError, InvalidMessageError) as error:
            self._seen = None
            self._ciphers = {}
            raise KeyServiceError(f"the key-encryption key cannot be read: {error}") from error
        self._seen, self._current, self._ciphers = seen, content.current, ciphers
