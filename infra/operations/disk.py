"""What a deployment occupies on disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

import msgspec

BLOCK_BYTES: Final = 512
"""The unit of st_blocks, whatever the file system's own block is."""


class FolderSize(msgspec.Struct, frozen=True, kw_only=True):
    """One folder of PLAYHEAD_HOME with everything below it."""

    folder: str
    size_bytes: int


def folder_sizes(home: Path) -> list[FolderSize]:
    """Every folder of the home, largest first; what is linked from elsewhere does not count."""
    if not home.is_dir():
        return []
    folders = [path for path in home.iterdir() if path.is_dir() and not path.is_symlink()]
    sizes = [FolderSize(folder=path.name, size_bytes=_occupied(path)) for path in folders]
    return sorted(sizes, key=lambda each: each.size_bytes, reverse=True)


def free_bytes(home: Path) -> int:
    """What the home's file system has left for us."""
    existing = next(path for path in (home, *home.parents) if path.exists())
    return shutil.disk_usage(existing).free


def _occupied(folder: Path) -> int:
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(path, name)).st_blocks * BLOCK_BYTES  # noqa: PTH118 - a hundred thousand segments
            except FileNotFoundError:
                continue  # removed meanwhile: a log segment, a part that was merged
    return total
