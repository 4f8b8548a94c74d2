"""How a supervisor starts the engine process, and when it answers."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from infra.clickhouse.limits import Limits
from infra.clickhouse.server import Announcement
from infra.clickhouse.writer import ensure_users, in_url, users_file

_POLL_SECONDS: Final = 0.05
_PROBE_SECONDS_MAX: Final = 1.0


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """What to start, and where the process says where it listens."""

    argv: tuple[str, ...]
    env: dict[str, str]
    announce: Path


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
    url = f"http://{in_url(host)}:{port}/health"
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
