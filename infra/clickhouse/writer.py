"""The one who may write: where its password stands, and the URL that it goes to."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import msgspec

from infra.clickhouse.users import UserEntry, UsersFile

WRITER: Final = "playhead"


def users_file(home: Path) -> Path:
    """Where the users of the engine stand, below PLAYHEAD_HOME."""
    return home / "keys" / "clickhouse.json"


def ensure_users(home: Path, new_password: Callable[[], str] = secrets.token_urlsafe) -> str:
    """The writer's password; the users file is made (0600) where it does not exist."""
    path = users_file(home)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    entry = UserEntry(name=WRITER, password=new_password(), readonly=0)
    content = msgspec.json.format(msgspec.json.encode(UsersFile(users=(entry,))))
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content + b"\n")
    try:
        # A link, unlike a rename, leaves the file of whoever was faster.
        os.link(scratch, path)
    except FileExistsError:
        pass
    finally:
        scratch.unlink()
    return writer_password(home)


def writer_password(home: Path) -> str:
    """The writer's password. Raises FileNotFoundError before the first start, LookupError where no
    such user is named.
    """
    entries = msgspec.json.decode(users_file(home).read_bytes(), type=UsersFile).users
    for entry in entries:
        if entry.name == WRITER:
            return entry.password
    raise LookupError(f"{users_file(home)} names no user {WRITER}")


def writer_url(host: str, port: int, password: str, database: str) -> str:
    """The URL of the form that PLAYHEAD_CLICKHOUSE has: it holds the password, so keep it out of
    logs.
    """
    return f"http://{WRITER}:{quote(password, safe='')}@{in_url(host)}:{port}/{quote(database)}"


def without_password(url: str) -> str:
    """The same URL, fit for a log."""
    parts = urlsplit(url)
    host = in_url(parts.hostname or "")
    port = f":{parts.port}" if parts.port else ""
    user = f"{parts.username}:***@" if parts.username else ""
    return parts._replace(netloc=f"{user}{host}{port}").geturl()


def in_url(host: str) -> str:
    """The host as it stands in a URL: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host
