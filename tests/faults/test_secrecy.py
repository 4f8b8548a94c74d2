"""A planted secret is found, in whichever form, and wherever it is cut in two."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.faults.secrecy import (
    EVERYWHERE,
    Needle,
    found_in,
    found_in_files,
    needles_of_folder,
    needles_of_key,
)
from infra.keys.folder import KeyFolder

KEY = bytes(range(100, 132))
WRITTEN = (
    KEY,
    KEY.hex().encode(),
    KEY.hex().upper().encode(),
    base64.b64encode(KEY),
    base64.urlsafe_b64encode(b"x" + KEY),
    base64.b64encode(b"xy" + KEY + b"z"),
)


@pytest.mark.parametrize("written", WRITTEN)
def test_a_key_is_found_in_every_form(written: bytes) -> None:
    assert found_in([b"before" + written + b"after"], needles_of_key("key", KEY)) == {"key"}


@given(st.sampled_from(WRITTEN), st.lists(st.integers(1, 60), max_size=8))
def test_a_key_is_found_across_blocks(written: bytes, sizes: list[int]) -> None:
    rest, blocks = b"before" + written + b"after", list[bytes]()
    for size in sizes:
        blocks.append(rest[:size])
        rest = rest[size:]
    assert found_in([*blocks, rest], needles_of_key("key", KEY)) == {"key"}


@given(st.binary())
def test_nothing_else_is(data: bytes) -> None:
    assert not found_in([data], needles_of_key("key", KEY))


def test_every_secret_of_a_key_folder_is_looked_for(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    KeyFolder(folder).create()
    needles = needles_of_folder(folder)
    secret = {path.name for path in folder.iterdir() if path.suffix in {".key", ".secret", ".json"}}
    assert {needle.name for needle in needles} == secret
    identity = json.loads((folder / "license.json").read_text())
    log = tmp_path / "logs" / "license.log"
    log.parent.mkdir()
    log.write_text(f"signing with {identity['signing']}")
    assert found_in_files(tmp_path, needles) == {"logs/license.log": {"license.json"}}


def test_what_is_hidden_in_the_key_folder_itself_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "a").write_bytes(KEY)
    assert not found_in_files(tmp_path, [Needle("key", KEY)])


def test_a_secret_among_nothing_but_zeros_is_found() -> None:
    empty = bytes(10_000)
    blocks = [empty, empty, KEY[:9], KEY[9:], empty]
    assert found_in(blocks, needles_of_key("key", KEY)) == {"key"}
    blocks = [empty, b"\0" + KEY + b"\0", empty]
    assert found_in(blocks, [EVERYWHERE, *needles_of_key("key", KEY)]) == {"", "key"}
    assert found_in([empty], [EVERYWHERE, *needles_of_key("key", KEY)]) == {""}
