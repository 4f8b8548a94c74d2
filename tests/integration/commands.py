"""A whole deployment with one title, and the command line as an operator uses it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import clickhouse_connect

from infra.content.binaries import find_media_tools
from infra.sandbox import Sandbox, running_sandbox
from infra.stack import environment_of
from tests.integration.broker import runtime_folder
from tests.integration.media import make_film

COMMAND_TIMEOUT_S = 120
CONTENT_ID = "the-tide"


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Operator:
    """Runs commands against one deployment."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.deployment = sandbox.deployment
        self._sandbox = sandbox
        self._env = environment_of(sandbox.deployment.settings)

    async def run(self, *arguments: str) -> Said:
        """`playhead` with these arguments, to its end."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "infra.cli", *arguments),
            env=self._env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode is not None
        return Said(process.returncode, out.decode(), err.decode())

    async def done(self, *arguments: str) -> Said:
        """The same; it must succeed without a word on standard error."""
        said = await self.run(*arguments)
        assert (said.code, said.err) == (0, ""), (arguments, said)
        return said

    @property
    def pids(self) -> dict[str, int]:
        """Every component that has a process, and its id."""
        return self._sandbox.pids_by_name()

    async def end_kindly(self, component: str) -> None:
        """SIGTERM; returns when the supervisor has it running again."""
        pid = self._sandbox.pid_of(component)
        os.kill(pid, signal.SIGTERM)
        await self._sandbox.wait_ready(not_pid=pid)

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What ClickHouse answers to its reader."""
        client = await asyncio.to_thread(
            clickhouse_connect.get_client,
            dsn=self.deployment.reader_url(),
            autogenerate_session_id=False,
        )
        found = await asyncio.to_thread(client.query, query)
        return [tuple(row) for row in found.result_rows]

    async def sign_up(self, email: str) -> str:
        """A new account without a subscription; its id."""
        async with aiohttp.ClientSession(self.deployment.gateway_url()) as http:
            body = {"email": email, "password": "correct horse"}
            async with http.post("/v1/accounts", json=body) as response:
                assert response.status == 201, await response.text()
                account: dict[str, str] = await response.json()
                return account["account_id"]


async def eventually(ask: Callable[[], Awaitable[bool]], timeout_s: float = 60) -> None:
    """Return when it is so; TimeoutError where it never is."""
    async with asyncio.timeout(timeout_s):
        while not await ask():  # noqa: ASYNC110 - other processes change it
            await asyncio.sleep(0.3)


@asynccontextmanager
async def an_operated_deployment(home: Path) -> AsyncIterator[Operator]:
    """Everything running, and one title added by `content add`."""
    async with running_sandbox(home / "home", runtime=runtime_folder()) as sandbox:
        operator = Operator(sandbox)
        film = await asyncio.to_thread(
            make_film, find_media_tools(), home / "film.mp4", seconds=20, size="320x240"
        )
        await operator.done(
            *("content", "add", str(film), "--title", "The Tide", "--genre", "drama"),
            *("--preset", "ultrafast"),
        )
        yield operator
