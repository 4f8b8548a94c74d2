from __future__ import annotations

import threading
from pathlib import Path

import pytest

from infra.keys.file_root import FileKeyProvider
from infra.keys.files import KeyFileError, write_private
from infra.keys.folder import ROLES, KeyFolder
from infra.keys.inherited import KekFile
from schemas import codec
from streams.identity import is_signed_by
from tests.builders import NOW_MS

SECRETS = ("root.key", "root.pub", "deployment.secret", "state.key", "account.key", "kek-root.key")


@pytest.fixture
def keys(tmp_path: Path) -> KeyFolder:
    folder = KeyFolder(tmp_path / "keys")
    folder.create()
    return folder


def test_a_new_folder_has_every_key_and_only_its_owner_may_read_them(
    keys: KeyFolder, tmp_path: Path
) -> None:
    files = {path.name: path for path in (tmp_path / "keys").iterdir()}
    assert set(files) == {*SECRETS, *(f"{role}.json" for role in ROLES), ".lock"}
    assert {path.stat().st_mode & 0o777 for path in files.values()} == {0o600}
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700


def test_creating_again_changes_nothing(keys: KeyFolder, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in (tmp_path / "keys").iterdir()}
    keys.create()
    assert {path.name: path.read_bytes() for path in (tmp_path / "keys").iterdir()} == before


def test_several_processes_creating_at_once_agree(tmp_path: Path) -> None:
    folders = [KeyFolder(tmp_path / "keys") for _ in range(4)]
    threads = [threading.Thread(target=folder.create) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(folder.state_key() == folders[0].state_key() for folder in folders)
    assert len({folder.identity("gateway").key_id for folder in folders}) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_may_touch_is_refused_with_its_mend(
    keys: KeyFolder, tmp_path: Path, mode: int
) -> None:
    for name, read in (
        ("state.key", keys.state_key),
        ("root.key", keys.root),
        ("account.json", lambda: keys.identity("account")),
    ):
        path = tmp_path / "keys" / name
        path.chmod(mode)
        with pytest.raises(KeyFileError, match=f"chmod 600 .*{name}"):
            read()


def test_a_folder_that_others_may_enter_is_refused(keys: KeyFolder, tmp_path: Path) -> None:
    (tmp_path / "keys").chmod(0o750)
    with pytest.raises(KeyFileError, match="chmod 700"):
        keys.create()


def test_a_lost_secret_is_told_and_never_made_anew(keys: KeyFolder, tmp_path: Path) -> None:
    (tmp_path / "keys" / "account.key").unlink()
    keys.create()
    with pytest.raises(KeyFileError, match=r"account\.key cannot be read .* restore it"):
        keys.account_key()


def test_a_cut_secret_is_told(keys: KeyFolder, tmp_path: Path) -> None:
    (tmp_path / "keys" / "state.key").write_bytes(b"short")
    with pytest.raises(KeyFileError, match="damaged"):
        keys.state_key()


def test_every_role_is_enrolled_by_the_root(keys: KeyFolder) -> None:
    enrollments = keys.enrollments(NOW_MS)
    assert {enrollment.role for enrollment in enrollments} == set(ROLES)
    assert all(is_signed_by(keys.root_public(), enrollment) for enrollment in enrollments)


def test_no_secret_shows_in_a_representation(keys: KeyFolder) -> None:
    shown = repr([keys, keys.state_key(), FileKeyProvider(keys.kek_root), keys.identity("license")])
    assert keys.state_key().reveal().hex() not in shown
    assert "***" in shown


def a_folder_of_before(folder: Path) -> bytes:
    """One whose key-encryption keys lay in a file."""
    old = b"o" * 32
    write_private(folder / "kek.json", codec.encode(KekFile(current=1, keys={"1": old})))
    (folder / "kek-root.key").unlink()
    return old


def test_a_folder_of_before_gets_a_root_once_and_its_old_keys_stay(
    keys: KeyFolder, tmp_path: Path
) -> None:
    old = a_folder_of_before(tmp_path / "keys")
    keys.create()
    made = keys.kek_root.read_bytes()
    keys.create()
    assert keys.kek_root.read_bytes() == made
    assert {version: key.reveal() for version, key in keys.inherited_keks().items()} == {1: old}
    assert repr(old) not in repr(KekFile(current=1, keys={"1": old}))


def test_a_lost_root_is_never_made_anew(keys: KeyFolder) -> None:
    """Key-encryption keys in the log lie under it."""
    keys.kek_root.unlink()
    keys.create()
    assert not keys.kek_root.exists()
    assert keys.inherited_keks() == {}


@pytest.mark.parametrize("content", [b"none", b'{"current":1,"keys":{"1":"c2hvcnQ="}}'])
def test_damaged_old_keys_are_told(keys: KeyFolder, tmp_path: Path, content: bytes) -> None:
    write_private(tmp_path / "keys" / "kek.json", content)
    with pytest.raises(KeyFileError, match="damaged: restore it"):
        keys.inherited_keks()


def test_with_a_token_no_root_lies_in_the_folder(tmp_path: Path) -> None:
    keys = KeyFolder(tmp_path / "keys")
    keys.create(with_kek_root=False)
    assert not keys.kek_root.exists()
    keys.make_kek_root()
    made = keys.kek_root.read_bytes()
    assert len(made) == 32
    with pytest.raises(KeyFileError, match="never made anew"):
        keys.make_kek_root()
    assert keys.kek_root.read_bytes() == made
