"""Keeps what a child prints: a file of bounded size, and its last lines in memory."""

from pathlib import Path
from typing import IO

FILE_BYTES_MAX = 10 * 1024 * 1024
FILES_KEPT = 3
TAIL_LINES_MAX = 20
TAIL_BYTES_MAX = 8 * 1024


class ComponentLog:
    """Appends to `path`, which moves to `path`.1, .2 … when it is full.

    A disk that is full loses lines, never the component.
    """

    def __init__(
        self, path: Path, *, bytes_max: int = FILE_BYTES_MAX, files_kept: int = FILES_KEPT
    ) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._files_kept = files_kept
        self._tail = b""
        self._file: IO[bytes] | None = None
        self._size_bytes = 0
        self.lost_count = 0

    @property
    def path(self) -> Path:
        """The file that is written now."""
        return self._path

    def write(self, output: bytes) -> None:
        """Append what a child printed."""
        self._tail = (self._tail + output)[-TAIL_BYTES_MAX:]
        try:
            if self._size_bytes + len(output) > self._bytes_max:
                self._rotate()
            if self._file is None:
                self._open()
            assert self._file is not None
            self._file.write(output)
            self._size_bytes += len(output)
        except OSError:
            self.lost_count += 1

    def take_tail(self) -> list[str]:
        """The last lines since this was last asked."""
        lines = self._tail.decode("utf-8", "replace").splitlines()
        self._tail = b""
        return lines[-TAIL_LINES_MAX:]

    def close(self) -> None:
        """Close the file; a further write opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("ab", buffering=0)
        self._size_bytes = self._file.tell()

    def _rotate(self) -> None:
        self.close()
        for number in range(self._files_kept - 1, 0, -1):
            older = self._numbered(number)
            if older.exists():
                older.replace(self._numbered(number + 1))
        self._path.replace(self._numbered(1))
        self._size_bytes = 0

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")
