"""Private files: 0600 in a folder of 0700, written whole or not at all, never overwritten."""

from __future__ import annotations

import os
from pathlib import Path

from schemas.errors import PlayheadError

FILE_MODE = 0o600
FOLDER_MODE = 0o700


class KeyFileError(PlayheadError):
    """A key file is missing, damaged or readable by others; the message says the mend."""


def make_private_folder(folder: Path) -> None:
    """Make the folder where it is missing; raises KeyFileError where others may enter it."""
    folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
    if folder.stat().st_mode & 0o077:
        raise KeyFileError(f"{folder} must be its owner's only: chmod 700 {folder}")


def read_private(path: Path) -> bytes:
    """The file's content; raises KeyFileError where it is missing or others may read it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read ({error.strerror}): restore it") from error
    with os.fdopen(descriptor, "rb") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise KeyFileError(f"{path} must be its owner's only: chmod 600 {path}")
        return file.read()


def write_private(path: Path, content: bytes) -> None:
    """Write the file at once; one that is there is replaced whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
