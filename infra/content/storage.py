"""Where titles lie: any fsspec URL (file://, s3://), one code path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]  # it ships no types
from fsspec.core import url_to_fs
from fsspec.spec import AbstractFileSystem

from schemas.errors import RetryableError


class StorageAwayError(RetryableError):
    """The storage did not answer, or refused; it is not said that the object is missing."""


@contextmanager
def _said_plainly() -> Iterator[None]:
    """Each file system has its own words for being away."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, BotoCoreError) as error:
        raise StorageAwayError(f"storage: {type(error).__name__}") from error


class Storage:
    """A folder of an fsspec file system. All calls block: use them off the event loop.

    All raise StorageAwayError while it cannot be reached.
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        self.url = url.rstrip("/")
        fs, root = url_to_fs(self.url, **dict(options or {}))
        self._fs: AbstractFileSystem = fs
        self._root: str = root.rstrip("/")

    def url_of(self, path: str) -> str:
        """The URL of a path below the folder."""
        return f"{self.url}/{path}"

    def upload(self, folder: Path, path: str) -> None:
        """Copies every file below `folder` to `path`."""
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        targets = [self._at(f"{path}/{file.relative_to(folder).as_posix()}") for file in files]
        with _said_plainly():
            for parent in {target.rsplit("/", 1)[0] for target in targets}:
                self._fs.makedirs(parent, exist_ok=True)
            self._fs.put([str(file) for file in files], targets)

    def write(self, path: str, data: bytes) -> None:
        """Stores one small object."""
        target = self._at(path)
        with _said_plainly():
            self._fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
            self._fs.pipe_file(target, data)

    def size_bytes(self, path: str) -> int:
        """FileNotFoundError where there is no such object."""
        with _said_plainly():
            about = self._fs.info(self._at(path))
        if about["type"] != "file":
            raise FileNotFoundError(path)
        return int(about["size"])

    def read(self, path: str, start: int = 0, end: int | None = None) -> bytes:
        """The bytes from start up to, without, end; FileNotFoundError where there is no such."""
        with _said_plainly():
            data: bytes = self._fs.cat_file(self._at(path), start=start, end=end)
        return data

    def list(self, path: str = "") -> list[str]:
        """Paths of the objects below `path`, all levels, sorted."""
        base = self._at(path) if path else self._root
        with _said_plainly():
            found: list[str] = self._fs.find(base) if self._fs.exists(base) else []
        return sorted(path[len(self._root) + 1 :] for path in found)

    def remove(self, path: str) -> None:
        """Deletes everything below `path`."""
        with _said_plainly():
            self._fs.rm(self._at(path), recursive=True)

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}"
