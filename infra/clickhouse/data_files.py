"""Data on its way into a table, as a file that the engine reads.

chDB also has calls that take data bit by bit (`send_insert`). They are not used: they report
success where the rows were parsed but could not be stored (full disk, violated constraint, failing
view), and the rows are lost.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from infra.clickhouse import sql
from infra.clickhouse.engine import Handle, Result

_PREFIX: Final = "insert-"


class DataFiles:
    """Short-lived files in one directory, which is this process's own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def remove_leftovers(self) -> None:
        """Removes what a process left that was killed in the middle of an insert."""
        for path in self._directory.glob(f"{_PREFIX}*"):
            path.unlink()

    @contextmanager
    def holding(self, pieces: Iterable[bytes]) -> Iterator[Path]:
        """A file with these bytes, for the length of the block. Raises OSError on a full disk."""
        with tempfile.NamedTemporaryFile(dir=self._directory, prefix=_PREFIX) as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            yield Path(file.name)


def insert_file(handle: Handle, insert: sql.InsertText, path: Path) -> Result:
    """Inserts the file's rows, all or nothing up to a million of them. Raises RuntimeError."""
    statement = b"%s\nFROM INFILE %s COMPRESSION 'none'\n%s\nFORMAT %s" % (
        insert.target,
        sql.quoted(str(path)).encode(),
        insert.settings,
        insert.format_name.encode(),
    )
    return handle.query(statement, "Null")
