from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agents.license.key_encryption import KeyServiceError, Wrapped
from infra.keys.file_root import FileKeyProvider
from infra.keys.files import write_private
from schemas.secrets import SecretBytes

KEK = SecretBytes(bytes(range(32)))
CONTEXT = b"context"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_private(tmp_path / "kek-root.key", b"r" * 32)
    return tmp_path / "kek-root.key"


async def opened(root: FileKeyProvider, wrapped: bytes, context: bytes = CONTEXT) -> SecretBytes:
    (answer,) = await root.unwrap([Wrapped(wrapped, context)])
    if isinstance(answer, KeyServiceError):
        raise answer
    return answer


async def test_every_byte_of_what_it_wrapped_and_of_its_binding_counts(path: Path) -> None:
    root = FileKeyProvider(path)
    wrapped = await root.wrap(KEK, CONTEXT)
    assert await opened(root, wrapped) == KEK
    for place in range(len(wrapped)):
        flipped = bytearray(wrapped)
        flipped[place] ^= 1
        with pytest.raises(KeyServiceError, match="restore"):
            await opened(root, bytes(flipped))
    for context in (b"contexT", b"context ", b""):
        with pytest.raises(KeyServiceError, match="restore"):
            await opened(root, wrapped, context)


def put_away(path: Path) -> None:
    path.unlink()


def open_to_others(path: Path) -> None:
    path.chmod(0o640)


def replaced(path: Path) -> None:
    write_private(path, b"x" * 32)


def cut(path: Path) -> None:
    write_private(path, b"short")


@pytest.mark.parametrize(
    ("harm", "mend"),
    [
        (put_away, "restore it"),
        (open_to_others, "chmod 600"),
        (replaced, "another root"),
        (cut, "damaged"),
    ],
)
async def test_what_is_wrong_with_the_file_counts_at_once(
    path: Path, harm: Callable[[Path], None], mend: str
) -> None:
    root = FileKeyProvider(path)
    wrapped = await root.wrap(KEK, CONTEXT)
    harm(path)
    with pytest.raises(KeyServiceError, match=mend):
        await opened(root, wrapped)
    write_private(path, b"r" * 32)
    assert await opened(root, wrapped) == KEK
