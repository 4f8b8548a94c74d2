"""I9: keys, tokens and passwords, looked for wherever they must not be.

Where to look: all files of the deployment but the key folder (logs, the segments of the log, which
are not compressed, what the engine left in temporary files) and every table of ClickHouse, whose
own files are compressed. A word that must be there shows that looking finds something.
"""

from __future__ import annotations

import base64
import errno
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from io import IOBase
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, cast

import msgspec

from infra.clickhouse.client import open_client, parse_url

BLOCK_BYTES: Final = 4 << 20
SECRET_BYTES: Final = 32
NOT_LOOKED_INTO: Final = frozenset({"keys", "runtime"})
_HEX: Final = re.compile(r"[0-9a-f]{64}")
TABLES: Final = (
    "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
)


class Needle(NamedTuple):
    """One form of a secret, under a name that may be told."""

    name: str
    data: bytes


EVERYWHERE: Final = Needle("", b"")
"""Stands in every place that has anything in it: tells where was looked."""


def forms(secret: bytes) -> tuple[bytes, ...]:
    """Raw, hexadecimal (both cases), base64 and base64url, at every alignment of base64."""
    found = [secret, secret.hex().encode(), secret.hex().upper().encode()]
    for shift in range(3):
        # The characters that depend on the neighbors are cut off on both sides.
        text = base64.b64encode(b"\0" * shift + secret)
        inner = text[4 if shift else 0 :][: (len(secret) - 3) * 4 // 3]
        found += [inner, inner.replace(b"+", b"-").replace(b"/", b"_")]
    return tuple(dict.fromkeys(found))


def needles_of_key(name: str, secret: bytes) -> list[Needle]:
    """Every form of a key."""
    return [Needle(name, form) for form in forms(secret)]


def needles_of_folder(folder: Path) -> list[Needle]:
    """Every form of each secret in a key folder, whatever is in its files."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.suffix == ".pub" or not path.is_file():
            continue
        content = path.read_bytes()
        if len(content) == SECRET_BYTES:
            found += needles_of_key(path.name, content)
        elif path.suffix == ".json":
            for secret in _secrets_in(msgspec.json.decode(content)):
                found += needles_of_key(path.name, secret)
        elif content.strip():
            found.append(Needle(path.name, content.strip()))
    return found


def _secrets_in(document: Any) -> Iterator[bytes]:
    """Keys are written as hexadecimal or as base64."""
    if isinstance(document, dict):
        for value in document.values():
            yield from _secrets_in(value)
    elif isinstance(document, str) and _HEX.fullmatch(document):
        yield bytes.fromhex(document)
    elif isinstance(document, str) and len(document) == 44 and document.endswith("="):
        yield base64.b64decode(document)


def found_in(blocks: Iterable[bytes], needles: Iterable[Needle]) -> set[str]:
    """The names of those that stand in a stream of bytes, also across its blocks."""
    wanted = list(needles)
    overlap = max((len(needle.data) for needle in wanted), default=1) - 1
    found, tail = set[str](), b""
    for block in blocks:
        data = tail + block
        # Files and memory that were only set aside are mostly this; a secret is never all zeros.
        looked_for = [n for n in wanted if not n.data] if _is_empty(data) else wanted
        found |= {needle.name for needle in looked_for if needle.data in data}
        tail = data[-overlap:] if overlap else b""
    return found


def _is_empty(data: bytes) -> bool:
    return data[:1] == b"\0" and data == bytes(len(data))


def found_in_files(home: Path, needles: Iterable[Needle]) -> dict[str, set[str]]:
    """By file, relative to the home: what stands in it. Files that go away meanwhile hold none."""
    wanted = list(needles)
    found = {}
    for path in sorted(home.rglob("*")):
        place = path.relative_to(home)
        if place.parts[0] in NOT_LOOKED_INTO or path.is_symlink() or not path.is_file():
            continue
        try:
            with path.open("rb") as file:
                names = found_in(_written_blocks_of(file), wanted)
        except OSError:
            continue
        if names:
            found[str(place)] = names
    return found


def found_in_tables(url: str, needles: Iterable[Needle]) -> dict[str, set[str]]:
    """By table: what stands in its rows. Raises what clickhouse_connect raises."""
    wanted, found = list(needles), {}
    with closing(open_client(parse_url(url))) as client:
        for (table,) in client.query(TABLES).result_rows:
            stream = client.raw_stream(f"SELECT * FROM {table}", fmt="RowBinary")  # noqa: S608 - the database's own names
            with closing(cast("IOBase", stream)) as rows:
                if names := found_in(_blocks_of(rows), wanted):
                    found[str(table)] = names
    return found


def _written_blocks_of(file: BinaryIO) -> Iterator[bytes]:
    """Without what was only set aside: the broker's indexes are gigabytes of it."""
    begins = 0
    while True:
        try:
            begins = os.lseek(file.fileno(), begins, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # no more data
                return
            raise
        ends = os.lseek(file.fileno(), begins, os.SEEK_HOLE)
        file.seek(begins)
        while begins < ends and (block := file.read(min(BLOCK_BYTES, ends - begins))):
            begins += len(block)
            yield block
        begins = max(begins, ends)


def _blocks_of(stream: Any) -> Iterator[bytes]:
    while block := stream.read(BLOCK_BYTES):
        yield block
