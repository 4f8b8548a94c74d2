"""A gateway that listens: its socket, its announcement, and its end on a signal."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec
from aiohttp import web

from gateway.accepting import Acceptor
from gateway.app import build_app
from gateway.connections import ConnectionLimits, Connections
from gateway.door import Door
from gateway.express import Express
from gateway.gateway import GATEWAY, Gateway
from gateway.ports import GatewayPorts
from gateway.routes import ROUTES
from schemas import codec
from streams.topics import PLAYBACK_EVENTS

READ_BYTES = 64 << 10
"""What aiohttp keeps of a body that its handler does not read yet."""
LINE_BYTES_MAX = 16_384
"""Of request line and headers: session tokens stand in paths."""
IDLE_S_MAX = 86_400.0
"""Of aiohttp's clock, which does not see what the door refuses; the guards have one that does."""

log = logging.getLogger(__name__)


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """Where the gateway listens, for who started it on port 0."""

    name: str
    pid: int
    host: str
    port: int
    url: str


class Listening:
    """A gateway between `start` and `stop`; in a test as in production."""

    def __init__(self, ports: GatewayPorts) -> None:
        self._config = ports.config
        self.app = build_app(ports)
        self._runner = web.AppRunner(
            self.app,
            handle_signals=False,
            access_log=None,
            auto_decompress=False,
            read_bufsize=READ_BYTES,
            keepalive_timeout=IDLE_S_MAX,
            max_line_size=LINE_BYTES_MAX,
            max_field_size=LINE_BYTES_MAX,
            shutdown_timeout=self._config.limits.drain_ms / 1000,
        )
        self._acceptor: Acceptor | None = None

    async def start(self) -> Announcement:
        """Listens; the ports are started already."""
        await self._runner.setup()
        make_protocol = self._runner.server
        assert make_protocol is not None
        gateway = self.app[GATEWAY]
        connections = _connections(gateway, make_protocol)
        gateway.connections = connections
        self._acceptor = Acceptor(connections)
        port = self._acceptor.start(self._config.host, self._config.port)
        host = f"[{self._config.host}]" if ":" in self._config.host else self._config.host
        gateway.public_url = gateway.public_url or f"http://{host}:{port}"
        return Announcement(
            name="gateway",
            pid=os.getpid(),
            host=self._config.host,
            port=port,
            url=gateway.public_url,
        )

    async def stop(self) -> None:
        """Accepts no more, lets open requests end within the drain time, tells the ledger."""
        if self._acceptor is not None:
            self._acceptor.stop()
        connections = self.app[GATEWAY].connections
        if connections is not None:
            await connections.drain()
        await self._runner.cleanup()


def _connections(gateway: Gateway, make_protocol: Callable[[], asyncio.Protocol]) -> Connections:
    def count_shed() -> None:
        gateway.recorder.count(PLAYBACK_EVENTS, "shed", 1, gateway.now_ms())

    limits = gateway.limits
    door = Door(
        gateway.work,
        gateway.turns,
        ROUTES,
        body_bytes_max=limits.events_body_bytes_max,
        is_log_away=gateway.readiness.is_log_away,
        lets_license_in=gateway.license_pace.let_in,
        on_silence=count_shed,
    )
    express = Express(
        gateway.intake,
        gateway.slots,
        gateway.metrics,
        inflated_bytes_max=limits.events_inflated_bytes_max,
    )
    gateway.metrics.watch_counts(
        "playhead_posts_turned_away",
        "POSTs that the door refused, by class; essential: licenses.",
        "urgency",
        lambda: door.refused_counts,
    )
    return Connections(
        make_protocol,
        ConnectionLimits(
            connections_max=limits.connections_max,
            connection_bytes_max=limits.connection_bytes_max,
            process_bytes_max=limits.memory_bytes_max,
            header_deadline_ms=limits.header_deadline_ms,
            body_deadline_ms=limits.body_deadline_ms,
            keep_alive_ms=limits.keep_alive_ms,
            express_bytes_max=limits.events_body_bytes_max,
            drain_ms=limits.drain_ms,
        ),
        door,
        express.serve,
    )


async def serve(ports: GatewayPorts, announce_file: Path | None = None) -> None:
    """Until SIGTERM or SIGINT; the ports are started before and stopped after."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    listening = Listening(ports)
    try:
        announcement = await listening.start()
        log.info("the gateway listens on %s", announcement.url)
        if announce_file is not None:
            _announce(announce_file, announcement)
        await stopped.wait()
        log.info("the gateway drains")
    finally:
        await listening.stop()


def _announce(file: Path, announcement: Announcement) -> None:
    temporary = file.with_suffix(".new")
    temporary.write_bytes(codec.encode(announcement))
    temporary.rename(file)
