"""The users file: made once, for its owner alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.clickhouse.client import parse_url
from infra.clickhouse.users import Credentials, authenticate, load_users
from infra.clickhouse.writer import (
    ensure_users,
    users_file,
    without_password,
    writer_password,
    writer_url,
)


def test_the_password_is_made_once_and_kept(tmp_path: Path) -> None:
    first = ensure_users(tmp_path)
    assert ensure_users(tmp_path, lambda: "another") == first == writer_password(tmp_path)
    assert len(first) >= 32
    assert users_file(tmp_path).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in users_file(tmp_path).parent.iterdir()] == ["clickhouse.json"]


def test_the_file_makes_a_writer_and_a_reader(tmp_path: Path) -> None:
    password = ensure_users(tmp_path)
    users = load_users(users_file(tmp_path))
    assert authenticate(users, Credentials(name="playhead", password=password)).readonly == 0
    assert authenticate(users, Credentials(name="default", password="")).readonly == 2
    assert password not in repr(users)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{}", "is not a users file"),
        ("what", "is not a users file"),
        ('{"users": [{"name": "a", "readonly": 0}]}', "needs a password"),
        ('{"users": [{"name": "a", "readonly": 3}]}', "must be 0, 1 or 2"),
        ('{"users": [{"name": "a", "admin": true}]}', "is not a users file"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "users.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ValueError, match=said):
        load_users(path)


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    ensure_users(tmp_path)
    users_file(tmp_path).chmod(0o640)
    with pytest.raises(ValueError, match="chmod 600"):
        load_users(users_file(tmp_path))


def test_a_url_holds_what_it_is_made_of() -> None:
    url = writer_url("::1", 8123, "p/w:@", "playhead")
    address = parse_url(url)
    assert (address.host, address.port, address.user) == ("::1", 8123, "playhead")
    assert (address.password, address.database) == ("p/w:@", "playhead")
    assert without_password(url) == "http://playhead:***@[::1]:8123/playhead"
    with pytest.raises(ValueError, match="a ClickHouse URL is"):
        parse_url("clickhouse://secret@x")
