"""`kek.json`: key-encryption keys of before they lay in the log; they only unwrap.

A rotation moves every key away from them. Then the file holds nothing that is needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from agents.license.key_encryption import KEK_BYTES
from infra.keys.files import KeyFileError, read_private
from schemas import codec
from schemas.errors import InvalidMessageError
from schemas.secrets import SecretBytes


class KekFile(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says."""

    current: int
    keys: dict[str, bytes]
    """By version, in decimal."""

    def __repr__(self) -> str:
        return f"KekFile(current={self.current}, ***)"


_files: Final[codec.Decoder[KekFile]] = codec.Decoder(KekFile)


def read_inherited(path: Path) -> dict[int, SecretBytes]:
    """By version; none where there is no file. Raises KeyFileError."""
    if not path.exists():
        return {}
    try:
        content = _files.decode(read_private(path))
        keys = {int(version): SecretBytes(key) for version, key in content.keys.items()}
    except (InvalidMessageError, ValueError) as error:
        raise KeyFileError(f"{path} is damaged: restore it") from error
    if any(len(key.reveal()) != KEK_BYTES for key in keys.values()):
        raise KeyFileError(f"{path} is damaged: restore it")
    return keys
