"""What the set-up takes for done, and what it refuses."""

from pathlib import Path

import pytest

from infra.setup.environment import LOCKS, Stamps, is_usable, lock_files
from infra.setup.installer import PIN, SetupError


def test_a_changed_lock_is_installed_again(tmp_path: Path) -> None:
    lock = tmp_path / "runtime.txt"
    lock.write_text("aiohttp==1")
    stamps = Stamps(tmp_path / "stamps.json")
    assert not stamps.has(lock)
    stamps.add(lock)
    assert Stamps(tmp_path / "stamps.json").has(lock)
    lock.write_text("aiohttp==2")
    assert not Stamps(tmp_path / "stamps.json").has(lock)


def test_a_damaged_stamp_means_that_nothing_is_known(tmp_path: Path) -> None:
    (tmp_path / "stamps.json").write_text("{")
    assert not Stamps(tmp_path / "stamps.json").has(Path(__file__))


def test_a_lock_that_is_not_there_is_refused_by_its_name() -> None:
    with pytest.raises(SetupError, match=r"no lock .*nowhere\.txt"):
        lock_files(LOCKS, ["nowhere"])


def test_a_folder_without_a_python_is_no_environment(tmp_path: Path) -> None:
    assert not is_usable(tmp_path, is_chosen=False)


def test_every_pin_of_the_committed_locks_has_a_hash_and_none_names_a_host() -> None:
    locks = [*LOCKS.glob("*.txt"), LOCKS.parent / "setup" / "installer.txt"]
    assert len(locks) >= 2
    for lock in locks:
        text = lock.read_text(encoding="utf-8")
        assert "://" not in text, lock.name
        assert "--index-url" not in text, lock.name
        lines = text.splitlines()
        for line, following in zip(lines, [*lines[1:], ""], strict=True):
            if PIN.match(line):
                assert following.strip().startswith("--hash=sha256:"), (lock.name, line)
