"""The backup file: gzip over lines of JSON; a header, each topic's records, and a trailer.

The trailer counts and hashes what stands before it, so that half a file is no backup.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final, cast

import msgspec

from infra.keys.files import FILE_MODE
from schemas.errors import PlayheadError

FORMAT: Final = 1
LINE_BYTES_MAX: Final = 16 << 20


class BackupError(PlayheadError):
    """The file is no whole backup, or does not fit; the message says why."""


class BackupHeader(msgspec.Struct, frozen=True, kw_only=True, tag_field="line", tag="backup"):
    """The first line."""

    format: int
    version: str
    """Of Playhead."""
    namespace: str
    at_ms: int
    root_public: bytes
    """Whose deployment it is: restored beside other keys it would be unreadable."""


class BackupTopic(msgspec.Struct, frozen=True, kw_only=True, tag_field="line", tag="topic"):
    """Records of this topic follow."""

    name: str
    partitions: int


class BackupRecord(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="line", tag="record", omit_defaults=True
):
    """One record as it stood in the log; bytes as base64."""

    partition: int
    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes]] = []


class BackupTrailer(msgspec.Struct, frozen=True, kw_only=True, tag_field="line", tag="end"):
    """The last line."""

    records: dict[str, int]
    sha256: str
    """Of every line before, hexadecimal."""


Line = BackupHeader | BackupTopic | BackupRecord | BackupTrailer
Write = Callable[[BackupTopic | BackupRecord], None]
_decoder: Final[msgspec.json.Decoder[Line]] = msgspec.json.Decoder(Line)


@contextmanager
def writing(
    path: Path, header: BackupHeader
) -> Iterator[Callable[[BackupTopic | BackupRecord], None]]:
    """Write lines; the file appears whole, its owner's only, once the block is done."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    digest, counts, topic = sha256(), dict[str, int](), ""

    def write(line: BackupHeader | BackupTopic | BackupRecord) -> None:
        nonlocal topic
        if isinstance(line, BackupTopic):
            topic = line.name
            counts[topic] = 0
        elif isinstance(line, BackupRecord):
            counts[topic] += 1
        data = msgspec.json.encode(line) + b"\n"
        digest.update(data)
        packed.write(data)

    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6, mtime=0) as packed:
                write(header)
                yield write
                trailer = BackupTrailer(records=counts, sha256=digest.hexdigest())
                packed.write(msgspec.json.encode(trailer) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_lines(path: Path) -> Iterator[Line]:
    """Every line. Raises BackupError at the first that is damaged, or where the end is missing."""
    digest, is_whole = sha256(), False
    try:
        with gzip.open(path, "rb") as packed:
            file = cast("BinaryIO", packed)
            while data := file.readline(LINE_BYTES_MAX):
                line = _decoder.decode(data)
                if isinstance(line, BackupTrailer):
                    if line.sha256 != digest.hexdigest():
                        raise BackupError(f"{path} is damaged: its checksum is another")
                    is_whole = True
                digest.update(data)
                yield line
    except (OSError, EOFError, msgspec.DecodeError) as error:
        raise BackupError(f"{path} is no backup, or damaged: {error}") from error
    if not is_whole:
        raise BackupError(f"{path} is cut short")


def check_whole(path: Path) -> tuple[BackupHeader, BackupTrailer]:
    """Read it once to its end, before anything is done with it. Raises BackupError."""
    lines = read_lines(path)
    header = next(lines, None)
    last: Line | None = header
    for last in lines:  # noqa: B007 - the last one is wanted
        pass
    if not isinstance(header, BackupHeader) or not isinstance(last, BackupTrailer):
        raise BackupError(f"{path} is no backup")
    if header.format != FORMAT:
        raise BackupError(f"{path} is of format {header.format}, this reads {FORMAT}")
    return header, last
