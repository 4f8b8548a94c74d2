"""A real edge process, and a small gateway that speaks the only two routes an edge knows."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from infra.edge.__main__ import Announcement
from schemas.codec import Decoder, encode
from schemas.delivery import EdgeDecision, EdgeLog

TOKEN = "edge-token-of-this-test"
LOGS: Decoder[EdgeLog] = Decoder(EdgeLog)
ANNOUNCEMENTS: Decoder[Announcement] = Decoder(Announcement)


async def until(condition: Callable[[], bool | Awaitable[bool]], *, timeout_s: float = 30) -> None:
    """Waits for something that another process makes true, so that no event can tell."""
    async with asyncio.timeout(timeout_s):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.01)


class SmallGateway:
    """Streams decisions to edges and keeps their logs; can be away, or refuse."""

    def __init__(self) -> None:
        self.logs: list[EdgeLog] = []
        self.posted: list[int] = []
        self.answer_logs_with = 202
        self.followers: list[web.StreamResponse] = []
        self.port = 0
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """On the same port each time, so that an edge finds it again."""
        self._closing = asyncio.Event()
        app = web.Application(client_max_size=1 << 20)
        app.router.add_get("/v1/edge/decisions", self._decisions)
        app.router.add_post("/v1/edge/logs", self._logs)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self.followers.clear()

    async def decide(self, decision: EdgeDecision) -> None:
        await self.say(encode(decision) + b"\n")

    async def say(self, line: bytes) -> None:
        await until(lambda: bool(self.followers))
        for follower in self.followers:
            await follower.write(line)

    async def _decisions(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.Response(status=401)
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        self.followers.append(response)
        await self._closing.wait()
        return response

    async def _logs(self, request: web.Request) -> web.Response:
        self.posted.append(self.answer_logs_with)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.Response(status=401)
        lines = LOGS.decode_lines(await request.read())
        if self.answer_logs_with < 300:
            self.logs += lines
        return web.Response(status=self.answer_logs_with)


class Edge:
    """One running process."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process = process
        self.url = url

    async def end(self) -> int:
        """As a supervisor ends it."""
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), 10)


@asynccontextmanager
async def running_edge(
    folder: Path, *, storage: str, gateway: str, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Edge]:
    """An edge named alpha, ended when the block ends."""
    announce, token = folder / "alpha.json", folder / "edge.token"
    token.write_text(f"{TOKEN}\n")
    announce.unlink(missing_ok=True)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "infra.edge", "--name", "alpha", "--port", "0"),
        *("--storage", storage, "--gateway", gateway),
        *("--token-file", str(token), "--announce", str(announce)),
        env={**os.environ, **(environment or {})},
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await until(lambda: announce.exists() or process.returncode is not None)
        assert process.returncode is None, "the edge did not start"
        yield Edge(process, ANNOUNCEMENTS.decode(announce.read_bytes()).url)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
