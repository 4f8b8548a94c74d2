"""What `playhead keys` and `playhead content keys` say; the log is read by a fake."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from infra.cli import content, keys
from infra.keys.files import KeyFileError, write_private
from infra.keys.folder import KeyFolder
from infra.operations.key_rotation import KeysInLog, Rotated, RotationFailedError
from schemas.errors import PlayheadError
from schemas.licenses import KeyEncryptionKey, KeyRotation, WrappedKey
from tests.unit.keys.softhsm import PIN, TOKEN, make_token, softhsm_module
from tests.unit.operations.test_key_rotation import FIRST, KEY, MOVED, RETIRED, SECOND

SECRET = b"wrapped, and still shown to nobody"

ROTATED = Rotated(version=2, kek_id=SECOND.kek_id, rewrapped=1, retired=(1,), stuck=())


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Says what the log holds."""

    def holds(keks: tuple[KeyEncryptionKey, ...], *found: WrappedKey) -> None:
        async def read(_: object) -> KeysInLog:
            return KeysInLog(keks, tuple(replace(key, wrapped=SECRET) for key in found))

        for command in (keys, content):
            monkeypatch.setattr(command, "read_keys", read)

    return holds


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What rotations were begun from."""
    from_kek_ids: list[str] = []

    async def rotate(_: object, from_kek_id: str, on_piece: Callable[..., None]) -> Rotated:
        from_kek_ids.append(from_kek_id)
        on_piece(KeyRotation(kek_id=SECOND.kek_id, version=2, rewrapped=1, left=0), 1)
        return ROTATED

    monkeypatch.setattr(keys, "rotate", rotate)
    return from_kek_ids


def run(command: Any, *arguments: str) -> Result:
    result = CliRunner().invoke(command, arguments)
    assert SECRET.decode() not in result.output
    assert "d3JhcHBlZCw" not in result.output  # in base64
    return result


def test_versions_are_listed_with_what_lies_under_them(log: Callable[..., None]) -> None:
    log((SECOND, RETIRED), MOVED)
    rows = json.loads(run(keys.command, "list", "--json").output)
    assert [(row["version"], row["state"], row["content_keys"]) for row in rows] == [
        (1, "retired", 0),
        (2, "current", 1),
    ]
    log((SECOND, FIRST), KEY, replace(KEY, key_id="b" * 32, kek_id=""))
    rows = json.loads(run(keys.command, "list", "--json").output)
    assert [(row["version"], row["state"], row["root"]) for row in rows] == [
        (0, "replaced", "kek.json"),
        (1, "replaced", "file"),
        (2, "current", "file"),
    ]


def test_a_dry_run_asks_for_nothing(log: Callable[..., None], asked: list[str]) -> None:
    log((FIRST,), KEY)
    plan = json.loads(run(keys.command, "rotate", "kek", "--dry-run", "--json").output)
    assert plan == {"current": 1, "makes_version": True, "content_keys": 1, "retires": [1]}
    assert "would make a version after 1" in run(keys.command, "rotate", "kek", "--dry-run").output
    log((FIRST, SECOND), KEY, replace(MOVED, key_id="b" * 32))
    assert "finish version 2: 1" in run(keys.command, "rotate", "kek", "--dry-run").output
    assert asked == []


def test_what_is_under_way_is_finished_unless_told_otherwise(
    log: Callable[..., None], asked: list[str]
) -> None:
    log((FIRST,), KEY)
    assert "version 2 is current: 1" in run(keys.command, "rotate", "kek").output
    log((FIRST, SECOND), KEY)
    run(keys.command, "rotate", "kek")
    run(keys.command, "rotate", "kek", "--again")
    assert asked == [FIRST.kek_id, "", SECOND.kek_id]


def test_keys_that_cannot_be_moved_fail_the_command(
    log: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rotate(*_: object) -> Rotated:
        return msgspec.structs.replace(ROTATED, stuck=(KEY.key_id,), retired=())

    monkeypatch.setattr(keys, "rotate", rotate)
    log((FIRST,), KEY)
    result = run(keys.command, "rotate", "kek", "--json")
    assert isinstance(result.exception, RotationFailedError)
    assert KEY.key_id in str(result.exception)
    assert json.loads(result.output)["retired"] == []


def test_a_content_shows_key_ids_tiers_periods_and_versions(log: Callable[..., None]) -> None:
    other = replace(KEY, key_id="b" * 32, content_id="other")
    later = replace(MOVED, key_id="c" * 32, period=2)
    audio = replace(KEY, key_id="d" * 32, tier="audio")
    log((FIRST, SECOND), later, KEY, other, audio)
    rows = json.loads(run(content.command, "keys", "tears", "--json").output)
    assert [(row["tier"], row["period"], row["kek_version"]) for row in rows] == [
        ("audio", 0, 1),
        ("sd", 0, 1),
        ("sd", 2, 2),
    ]
    assert set(rows[0]) == {"key_id", "tier", "period", "kek_version", "created"}
    assert isinstance(run(content.command, "keys", "none").exception, PlayheadError)


def test_a_root_is_made_in_a_token_and_the_pin_is_shown_nowhere(tmp_path: Path) -> None:
    module = softhsm_module()
    make_token(tmp_path)
    write_private(tmp_path / "pin", PIN.encode())
    given = {
        "PATH": "/usr/bin:/bin",
        "SOFTHSM2_CONF": str(tmp_path / "softhsm2.conf"),
        "PYTHONPATH": ":".join(sys.path),
        "PLAYHEAD_HOME": str(tmp_path / "home"),
        "PLAYHEAD_KEY_PROVIDER": "pkcs11",
        "PLAYHEAD_PKCS11_MODULE": module,
        "PLAYHEAD_PKCS11_TOKEN": TOKEN,
        "PLAYHEAD_PKCS11_PIN_FILE": str(tmp_path / "pin"),
    }

    def playhead(*arguments: str) -> subprocess.CompletedProcess[str]:
        argv = (sys.executable, "-m", "infra.cli", *arguments)
        done = subprocess.run(argv, env=given, capture_output=True, text=True, check=False)
        assert PIN not in done.stdout + done.stderr
        return done

    made = playhead("keys", "make", "root")
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.startswith(f"made pkcs11:{TOKEN}/playhead-root")
    again = playhead("keys", "make", "root")
    assert again.returncode == 1
    assert "never made anew" in again.stderr
    assert PIN not in playhead("settings").stdout


def test_a_root_file_is_made_only_where_nothing_lies_under_a_lost_one(
    log: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAYHEAD_HOME", str(tmp_path))
    folder = KeyFolder(tmp_path / "keys")
    folder.create(with_kek_root=False)
    log((FIRST,), KEY)
    result = run(keys.command, "make", "root")
    assert isinstance(result.exception, KeyFileError)
    assert "restore it" in str(result.exception)
    log((replace(FIRST, root="pkcs11:token/root"),), KEY)
    assert "kek-root.key" in run(keys.command, "make", "root").output
    assert folder.kek_root.exists()
