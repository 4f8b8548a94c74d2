"""`python -m infra.edge`: one edge in the foreground, until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import time
import uuid
from pathlib import Path

import msgspec
import uvloop
from aiohttp import web

from infra.edge.app import build_edge
from infra.edge.config import EdgeConfig
from infra.files import write_whole
from schemas.codec import encode

SHUTDOWN_TIMEOUT_S = 2.0

log = logging.getLogger(__name__)


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """Where the edge listens, for who started it on port 0."""

    name: str
    pid: int
    host: str
    port: int
    url: str


def parse_arguments(arguments: list[str] | None = None) -> EdgeConfig:
    """The command line as a config; exits with 2 where it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m infra.edge", description=__doc__)
    parser.add_argument("--name", required=True, help="as in alpha; players see edge-alpha")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--storage", required=True, help="fsspec URL of all titles' folder")
    parser.add_argument("--gateway", required=True, help="URL of the gateway")
    parser.add_argument("--token-file", type=Path, required=True, help="token of role edge")
    parser.add_argument("--announce", type=Path, help="file to write the port to, as JSON")
    given = parser.parse_args(arguments)
    return EdgeConfig(
        name=given.name,
        storage_url=given.storage,
        gateway_url=given.gateway,
        token_file=given.token_file,
        host=given.host,
        port=given.port,
        announce_file=given.announce,
    )


async def serve(config: EdgeConfig) -> None:
    """Listens until a signal comes, then ends within a few seconds."""
    app = build_edge(
        config,
        instance=uuid.uuid4().hex,
        now_ms=lambda: time.time_ns() // 1_000_000,
        now_s=time.monotonic,
    )
    _withdraw(config)  # What a killed edge left would send players nowhere.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
    await runner.setup()
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    try:
        await web.TCPSite(runner, config.host, config.port).start()
        _announce(config, int(runner.addresses[0][1]))
        await stopped.wait()
    finally:
        _withdraw(config)
        await runner.cleanup()


def _announce(config: EdgeConfig, port: int) -> None:
    told = Announcement(
        name=f"edge-{config.name}",
        pid=os.getpid(),
        host=config.host,
        port=port,
        url=f"http://{config.host}:{port}",
    )
    log.info("edge %s serves %s at %s", config.name, config.storage_url, told.url)
    if config.announce_file is not None:
        write_whole(config.announce_file, encode(told))


def _withdraw(config: EdgeConfig) -> None:
    if config.announce_file is not None:
        config.announce_file.unlink(missing_ok=True)


def main() -> None:
    """Runs on uvloop."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    config = parse_arguments()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(config))


if __name__ == "__main__":
    main()
