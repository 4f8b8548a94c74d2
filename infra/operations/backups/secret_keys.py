"""The deployment's secret keys in one file, sealed under a passphrase: Argon2id and AES-256-GCM."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from infra.keys.files import make_private_folder, read_private, write_private
from infra.keys.folder import INHERITED_KEKS, KEK_ROOT
from infra.operations.backups.archive import BackupError
from schemas.secrets import SecretBytes

KEK_FILES: Final = frozenset({KEK_ROOT, INHERITED_KEKS})
"""What content keys can be read with, in the end."""
PASSPHRASE_BYTES_MIN: Final = 12
_TIME_COST, _MEMORY_KIB, _LANES = 4, 128 << 10, 2
_CONTEXT: Final = b"playhead secret keys v1"


class SealedKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The file."""

    format: int
    salt: bytes
    nonce: bytes
    sealed: bytes
    """Names and contents of the key folder's files."""
    has_kek: bool


def seal_keys(folder: Path, path: Path, passphrase: SecretBytes, *, with_kek: bool) -> list[str]:
    """Write every key file of the folder, the KEK only where asked; returns their names.

    Raises BackupError, KeyFileError.
    """
    if len(passphrase.reveal()) < PASSPHRASE_BYTES_MIN:
        raise BackupError(f"a passphrase has at least {PASSPHRASE_BYTES_MIN} characters")
    files = {
        file.name: read_private(file)
        for file in sorted(folder.iterdir())
        if file.is_file()
        and not file.name.startswith(".")
        and (with_kek or file.name not in KEK_FILES)
    }
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    cipher = AESGCM(_derive(passphrase, salt))
    sealed = cipher.encrypt(nonce, msgspec.msgpack.encode(files), _CONTEXT)
    content = SealedKeys(
        format=1, salt=salt, nonce=nonce, sealed=sealed, has_kek=not KEK_FILES.isdisjoint(files)
    )
    write_private(path, msgspec.msgpack.encode(content))
    return list(files)


def open_keys(path: Path, passphrase: SecretBytes) -> dict[str, bytes]:
    """The key files by name. Raises BackupError for another passphrase or a damaged file."""
    try:
        content = msgspec.msgpack.decode(path.read_bytes(), type=SealedKeys)
        cipher = AESGCM(_derive(passphrase, content.salt))
        opened = cipher.decrypt(content.nonce, content.sealed, _CONTEXT)
        files = msgspec.msgpack.decode(opened, type=dict[str, bytes])
    except (msgspec.DecodeError, InvalidTag, ValueError, OSError) as error:
        raise BackupError(f"{path}: another passphrase, or no file of sealed keys") from error
    return files


def place_keys(files: Mapping[str, bytes], folder: Path) -> None:
    """Write them into a new key folder. Raises BackupError where one is there that differs."""
    make_private_folder(folder)
    for name, content in files.items():
        if "/" in name or name.startswith("."):
            raise BackupError(f"{name!r} is no key file")
        file = folder / name
        if file.exists() and read_private(file) != content:
            raise BackupError(f"{file} is there and another one: this is another deployment's home")
        write_private(file, content)


def _derive(passphrase: SecretBytes, salt: bytes) -> bytes:
    key: bytes = hash_secret_raw(
        passphrase.reveal(), salt, _TIME_COST, _MEMORY_KIB, _LANES, 32, Type.ID
    )
    return key
