"""`playhead run` on free ports in a home of its own, with two of the demo's titles."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from infra.deployment import Deployment
from infra.sandbox import share_runtime
from infra.settings import PREFIX, load_settings
from infra.stack import free_port
from tests.integration.broker import runtime_folder

ROOT: Final = Path(__file__).parents[2]
READY_TIMEOUT_S: Final = 600
DEMO_TIMEOUT_S: Final = 600
STOP_TIMEOUT_S: Final = 30
LOOK_S: Final = 0.2
TITLES: Final = 2
"""The demo's first ones: blue-hour (20 s) and northern-drift (60 s)."""


class RunningStack(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything is, and the command line of it."""

    deployment: Deployment
    environment: dict[str, str]
    log: Path

    @property
    def url(self) -> str:
        """The player page."""
        return self.deployment.gateway_url()

    @property
    def edges(self) -> dict[str, str]:
        """The demo edges by name."""
        return {cdn.name: cdn.base_url for cdn in self.deployment.cdns()}

    async def playhead(self, *arguments: str, timeout_s: float = 60) -> str:
        """What a command prints; AssertionError where it fails."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "infra.cli", *arguments),
            cwd=ROOT,
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(timeout_s):
                output, errors = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
        assert process.returncode == 0, f"playhead {arguments[0]}: {errors.decode()[-2000:]}"
        return output.decode()

    async def sql(self, query: str) -> list[dict[str, Any]]:
        """The rows of `playhead sql`."""
        rows: list[dict[str, Any]] = json.loads(await self.playhead("sql", "--json", query))
        return rows


@asynccontextmanager
async def running_stack(home: Path) -> AsyncIterator[RunningStack]:
    """Everything up and the titles playable; all of it is gone at the end."""
    share_runtime(home, runtime_folder())
    environment = _environment(home)
    settings = load_settings(environment, dotenv=home / "no.env")
    log = home.with_name("run.log")
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "infra.cli", "run"),
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    stack = RunningStack(deployment=Deployment(settings=settings), environment=environment, log=log)
    try:
        await _until_ready(process, log)
        await stack.playhead("demo", "--titles", str(TITLES), timeout_s=DEMO_TIMEOUT_S)
        yield stack
    finally:
        await _stop(process)


def _environment(home: Path) -> dict[str, str]:
    ports = [free_port() for _ in range(5)]
    told = {
        "HOME": str(home),
        "GATEWAY_PORT": str(ports[0]),
        "KAFKA_PORT": str(ports[1]),
        "CLICKHOUSE_PORT": str(ports[2]),
        "CDN_URLS": f"http://127.0.0.1:{ports[3]},http://localhost:{ports[4]}",
        "DEMO": "0",  # its six titles would take minutes
    }
    base = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return base | {PREFIX + name: value for name, value in told.items()}


async def _until_ready(process: asyncio.subprocess.Process, log: Path) -> None:
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            while "Ready in" not in _said(log):
                assert process.returncode is None, f"the stack ended: {_said(log)[-4000:]}"
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        raise AssertionError(f"the stack is not ready: {_said(log)[-4000:]}") from None


def _said(log: Path) -> str:
    return log.read_text(errors="replace")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise AssertionError("the stack did not stop on SIGINT") from None
