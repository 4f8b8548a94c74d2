"""Starts the real engine process for tests."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec

from infra.clickhouse.launch import plan_launch, wait_announced, wait_ready
from infra.clickhouse.limits import Limits
from infra.clickhouse.writer import WRITER, writer_password

STOP_SECONDS_MAX = 5.0


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back, whatever the status."""

    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def code(self) -> str:
        """ClickHouse's number of the error; empty without one."""
        return self.headers.get("X-ClickHouse-Exception-Code", "")


class RunningClickHouse(msgspec.Struct, kw_only=True):
    """A running engine. `process` is the test's to kill; `home` can be started again."""

    home: Path
    host: str
    port: int
    writer_password: str
    process: asyncio.subprocess.Process

    @property
    def url(self) -> str:
        """Where requests go."""
        return f"http://{self.host}:{self.port}/"

    @property
    def writer(self) -> dict[str, str]:
        """Headers of the one who may write."""
        return {"X-ClickHouse-User": WRITER, "X-ClickHouse-Key": self.writer_password}

    async def ask(
        self,
        body: str | bytes | aiohttp.FormData,
        headers: Mapping[str, str] | None = None,
        values: Mapping[str, str] | None = None,
    ) -> Answer:
        """Posts a statement, or the rest of one; without `headers` as the reader."""
        async with (
            aiohttp.ClientSession() as http,
            http.post(self.url, data=body, headers=headers, params=values) as response,
        ):
            return Answer(
                status=response.status, text=await response.text(), headers=response.headers
            )

    def log(self) -> str:
        """What the process has said so far."""
        return (self.home / "logs" / "clickhouse.log").read_text()

    async def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        """Ends the process; returns its exit status. Ended already: the same."""
        if self.process.returncode is None:
            self.process.send_signal(with_signal)
        return await asyncio.wait_for(self.process.wait(), STOP_SECONDS_MAX)


async def start_clickhouse(
    home: Path, port: int = 0, database: str = "playhead", limits: Limits | None = None
) -> RunningClickHouse:
    """Starts the engine on HOME/clickhouse and waits until it answers queries; its log is
    HOME/logs/clickhouse.log.
    """
    launch = plan_launch(home, port, database=database, limits=limits)
    log = home / "logs" / "clickhouse.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *launch.argv, env=launch.env, stdout=output, stderr=output
        )
    try:
        said = await wait_announced(launch.announce, process.pid)
        await wait_ready(said.host, said.port)
    except BaseException:
        if process.returncode is None:
            process.kill()
        raise
    return RunningClickHouse(
        home=home,
        host=said.host,
        port=said.port,
        writer_password=writer_password(home),
        process=process,
    )


@asynccontextmanager
async def running_clickhouse(
    home: Path, limits: Limits | None = None
) -> AsyncIterator[RunningClickHouse]:
    """A real engine for the length of the block, on a port of its own."""
    running = await start_clickhouse(home, limits=limits)
    try:
        yield running
    finally:
        await running.stop(signal.SIGKILL)
