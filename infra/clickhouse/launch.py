"""How a supervisor starts the engine process, and how others reach it."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec

from infra.clickhouse.limits import Limits
from infra.clickhouse.server import Announcement
from infra.clickhouse.users import UserEntry, UsersFile

WRITER: Final = "playhead"
_POLL_SECONDS: Final = 0.05
_PROBE_SECONDS_MAX: Final = 1.0


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """What to start, and where the process says where it listens."""

    argv: tuple[str, ...]
    env: dict[str, str]
    announce: Path


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


def plan_launch(
    home: Path,
    port: int,
    *,
    database: str,
    host: str = "127.0.0.1",
    fsync: bool = False,
    limits: Limits | None = None,
) -> Launch:
    """The command that serves HOME/clickhouse on the port (0: any free one, told by the
    announcement).
    """
    ensure_users(home)
    announce = home / "run" / "clickhouse-engine.json"
    argv = [sys.executable, "-m", "infra.clickhouse", "--path", str(home / "clickhouse")]
    argv += ["--host", host, "--port", str(port), "--users-file", str(users_file(home))]
    argv += ["--announce", str(announce), "--database", database]
    argv += ["--fsync"] if fsync else []
    argv += ["--limits", msgspec.json.encode(limits).decode()] if limits is not None else []
    root = str(Path(__file__).resolve().parents[2])
    return Launch(argv=tuple(argv), env={"PYTHONPATH": root}, announce=announce)


def read_announcement(path: Path) -> Announcement | None:
    """What the process said; None while it has said nothing. An old file may name a process that
    has ended.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Announcement)
    except FileNotFoundError:
        return None


async def wait_announced(path: Path, pid: int, seconds_max: float = 30.0) -> Announcement:
    """The announcement of this very process. Raises TimeoutError."""
    async with asyncio.timeout(seconds_max):
        while True:
            said = read_announcement(path)
            if said is not None and said.pid == pid:
                return said
            await asyncio.sleep(_POLL_SECONDS)


async def wait_ready(host: str, port: int, seconds_max: float = 30.0) -> None:
    """Returns when the engine answers a query. Raises TimeoutError."""
    url = f"http://{_in_url(host)}:{port}/health"
    probe = aiohttp.ClientTimeout(total=_PROBE_SECONDS_MAX)
    async with asyncio.timeout(seconds_max), aiohttp.ClientSession(timeout=probe) as session:
        # Another process cannot set an event of ours.
        while not await _is_ready(session, url):  # noqa: ASYNC110
            await asyncio.sleep(_POLL_SECONDS)


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


def writer_url(host: str, port: int, password: str, database: str) -> str:
    """The URL of the form that PLAYHEAD_CLICKHOUSE has: it holds the password, so keep it out of
    logs.
    """
    return f"http://{WRITER}:{quote(password, safe='')}@{_in_url(host)}:{port}/{quote(database)}"


def without_password(url: str) -> str:
    """The same URL, fit for a log."""
    parts = urlsplit(url)
    host = _in_url(parts.hostname or "")
    port = f":{parts.port}" if parts.port else ""
    user = f"{parts.username}:***@" if parts.username else ""
    return parts._replace(netloc=f"{user}{host}{port}").geturl()


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
