"""/livez, /readyz and /metrics of a process that nobody but its operator asks, on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from infra.files import write_whole


@contextlib.asynccontextmanager
async def status_server(
    announcement: Path,
    registry: CollectorRegistry,
    why_not_ready: Callable[[], Awaitable[str]],
) -> AsyncIterator[None]:
    """Listen on a free port, told in the announcement file, until the block ends.

    `why_not_ready` answers with a sentence, or with nothing where the process is ready.
    """

    async def livez(_: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def readyz(_: web.Request) -> web.Response:
        why = await why_not_ready()
        return web.Response(status=503 if why else 200, text=f"{why or 'ready'}\n")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    app = web.Application()
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        _announce(announcement, port=runner.addresses[0][1])
        yield
    finally:
        await runner.cleanup()
        await asyncio.to_thread(announcement.unlink, missing_ok=True)


def _announce(path: Path, *, port: int) -> None:
    """Tell the supervisor where this process listens."""
    told = {"host": "127.0.0.1", "port": port, "pid": os.getpid()}
    write_whole(path, json.dumps(told).encode())
