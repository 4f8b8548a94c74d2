"""A checkpoint is its operator's word: changed in one byte, it is nobody's."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.keys.folder import KeyFolder
from infra.operations.audit.checkpoint import (
    Anchor,
    CheckpointError,
    open_checkpoint,
    read_checkpoint,
    sign_checkpoint,
)
from tests.builders import NOW_MS

ANCHOR = Anchor(partition=3, offset=41, hash="a" * 64, at_ms=NOW_MS, first_offset=0, count=42)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyFolder:
    folder = KeyFolder(tmp_path_factory.mktemp("home") / "keys")
    folder.create()
    return folder


@pytest.fixture(scope="module")
def content(keys: KeyFolder) -> bytes:
    operator = keys.identity("operator")
    signed = sign_checkpoint(keys.root(), operator, (ANCHOR,), namespace="", now_ms=NOW_MS)
    return msgspec.json.format(msgspec.json.encode(signed))


def test_what_was_signed_is_read_back(keys: KeyFolder, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.json").write_bytes(content)
    read = read_checkpoint(tmp_path / "checkpoint.json", keys.root_public(), namespace="")
    assert read.anchors == (ANCHOR,)
    assert read.at_ms == NOW_MS


@given(st.data())
def test_a_changed_byte_makes_it_nobodys(
    keys: KeyFolder, content: bytes, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(content) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != content[at]))
    mutated = content[:at] + bytes([byte]) + content[at + 1 :]
    try:
        opened = open_checkpoint(mutated, keys.root_public(), namespace="")
    except CheckpointError:
        return
    # Blanks between the members of JSON, and members that nobody reads, say nothing.
    assert opened == open_checkpoint(content, keys.root_public(), namespace="")


def test_another_deployments_word_does_not_count(content: bytes, tmp_path: Path) -> None:
    other = KeyFolder(tmp_path / "keys")
    other.create()
    with pytest.raises(CheckpointError, match="another deployment"):
        open_checkpoint(content, other.root_public(), namespace="")


def test_only_the_operators_key_counts(keys: KeyFolder) -> None:
    gateway = keys.identity("gateway")
    signed = sign_checkpoint(keys.root(), gateway, (ANCHOR,), namespace="", now_ms=NOW_MS)
    with pytest.raises(CheckpointError, match="changed, or another"):
        open_checkpoint(msgspec.json.encode(signed), keys.root_public(), namespace="")


def test_a_checkpoint_counts_in_its_namespace(keys: KeyFolder, content: bytes) -> None:
    with pytest.raises(CheckpointError, match="namespace"):
        open_checkpoint(content, keys.root_public(), namespace="other")
