"""A request's body, waiting for its end: small ones in memory, large ones in a temporary file.

Nothing is inserted before the body is there, whole and checked. So a slow client holds a connection
and some disk, never a worker, and a body that breaks off leaves nothing behind.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from infra.clickhouse.errors import too_large

_PIECE_BYTES: Final = 1 << 20


class Spool:
    """Bytes in the order written. Not safe for several threads at a time; `close` frees what it
    holds.
    """

    def __init__(self, directory: Path, *, memory_bytes_max: int, bytes_max: int) -> None:
        self._directory = directory
        self._memory_bytes_max = memory_bytes_max
        self._bytes_max = bytes_max
        self._file: IO[bytes] = io.BytesIO()
        self._in_memory = True
        self.size = 0

    def fits_in_memory(self, byte_count: int) -> bool:
        """Whether writing so much more touches no disk."""
        return self._in_memory and self.size + byte_count <= self._memory_bytes_max

    def write(self, data: bytes) -> None:
        """Appends. Raises EngineError 223 above the limit, OSError where the disk is full."""
        if self.size + len(data) > self._bytes_max:
            raise too_large(f"The request body is longer than {self._bytes_max} bytes")
        if self._in_memory and self.size + len(data) > self._memory_bytes_max:
            self._move_to_disk()
        _write_all(self._file, data)
        self.size += len(data)

    def _move_to_disk(self) -> None:
        # Unbuffered, so that a full disk is told by the write that meets it; `close` closes it.
        file = tempfile.TemporaryFile(dir=self._directory, prefix="body-", buffering=0)  # noqa: SIM115
        _write_all(file, self.head(self.size))
        self._file.close()
        self._file, self._in_memory = file, False

    def head(self, byte_count: int) -> bytes:
        """The first bytes, at most `byte_count`."""
        self._file.seek(0)
        return self._file.read(byte_count)

    def read_all(self, bytes_max: int) -> bytes:
        """Everything. Raises EngineError 223 above `bytes_max`."""
        if self.size > bytes_max:
            raise too_large(f"The statement is longer than {bytes_max} bytes")
        return self.head(self.size)

    def pieces(self, offset: int) -> Iterator[bytes]:
        """What stands from `offset` on, piece by piece."""
        self._file.seek(offset)
        while piece := self._file.read(_PIECE_BYTES):
            yield piece

    def close(self) -> None:
        """Frees memory and disk."""
        self._file.close()


def _write_all(file: IO[bytes], data: bytes) -> None:
    """An unbuffered file may take part: the disk's last bytes, before it says that it is full."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
