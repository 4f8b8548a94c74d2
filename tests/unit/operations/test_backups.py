"""What a backup holds, and that half or another deployment's is none."""

from pathlib import Path

import pytest

from infra.operations.backups.archive import (
    FORMAT,
    BackupError,
    BackupHeader,
    BackupRecord,
    BackupTopic,
    check_whole,
    read_lines,
    writing,
)
from infra.operations.backups.contents import KEPT, LEFT_OUT
from infra.operations.backups.secret_keys import KEK_FILES, open_keys, place_keys, seal_keys
from schemas.secrets import SecretBytes
from streams.topics import TOPICS

DAY_MS = 86_400_000
HEADER = BackupHeader(format=FORMAT, version="1", namespace="", at_ms=1, root_public=b"r" * 32)
PASSPHRASE = SecretBytes(b"a passphrase of some length")


def test_every_lasting_topic_is_backed_up_or_left_out_for_a_reason() -> None:
    lasting = {
        topic.name
        for topic in TOPICS
        if topic.is_compacted or topic.retention_ms is None or topic.retention_ms >= 30 * DAY_MS
    }
    assert lasting == {topic.name for topic in (*KEPT, *LEFT_OUT)}


def a_backup(path: Path) -> list[BackupRecord]:
    records = [
        BackupRecord(partition=2, key=b"k", value=bytes(range(256)), headers=[("mac", b"\xff")]),
        BackupRecord(partition=0, key=b"", value=None),
    ]
    with writing(path, HEADER) as write:
        write(BackupTopic(name="accounts.v1", partitions=8))
        for record in records:
            write(record)
    return records


def test_records_come_back_as_they_were_and_the_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "b.gz"
    records = a_backup(path)
    assert [line for line in read_lines(path) if isinstance(line, BackupRecord)] == records
    header, trailer = check_whole(path)
    assert (header, trailer.records) == (HEADER, {"accounts.v1": 2})
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_backup_that_was_not_finished_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "b.gz"
    a_backup(path)
    before = path.read_bytes()
    with pytest.raises(RuntimeError), writing(path, HEADER):
        raise RuntimeError
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("keep", [0, 10, 60, -8, -1])
def test_half_a_file_is_no_backup(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "b.gz"
    a_backup(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BackupError):
        check_whole(path)


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "b.gz"
    a_backup(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(BackupError):
        check_whole(path)


def a_key_folder(folder: Path) -> dict[str, bytes]:
    files = {"root.key": b"r" * 32, "state.key": b"s" * 32}
    files |= dict.fromkeys(KEK_FILES, b"k" * 32)
    place_keys(files, folder)
    return files


def test_keys_come_back_under_their_passphrase_alone(tmp_path: Path) -> None:
    files, sealed = a_key_folder(tmp_path / "keys"), tmp_path / "sealed"
    seal_keys(tmp_path / "keys", sealed, PASSPHRASE, with_kek=True)
    assert open_keys(sealed, PASSPHRASE) == files
    assert not any(content in sealed.read_bytes() for content in files.values() if len(content) > 8)
    with pytest.raises(BackupError, match="another passphrase"):
        open_keys(sealed, SecretBytes(b"a passphrase of some lengtH"))
    with pytest.raises(BackupError, match="at least"):
        seal_keys(tmp_path / "keys", sealed, SecretBytes(b"short"), with_kek=True)


def test_the_kek_goes_along_only_where_asked(tmp_path: Path) -> None:
    a_key_folder(tmp_path / "keys")
    names = seal_keys(tmp_path / "keys", tmp_path / "sealed", PASSPHRASE, with_kek=False)
    assert KEK_FILES.isdisjoint(names)
    assert KEK_FILES.isdisjoint(open_keys(tmp_path / "sealed", PASSPHRASE))


def test_keys_never_replace_those_of_another_deployment(tmp_path: Path) -> None:
    files = a_key_folder(tmp_path / "keys")
    place_keys(files, tmp_path / "keys")
    with pytest.raises(BackupError, match="another deployment"):
        place_keys({**files, "root.key": b"x" * 32}, tmp_path / "keys")
    with pytest.raises(BackupError, match="no key file"):
        place_keys({"../up": b""}, tmp_path / "keys")
