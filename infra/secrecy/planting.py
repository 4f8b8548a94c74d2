"""A secret planted in each kind of place: a search that does not find it proves nothing."""

from __future__ import annotations

import asyncio
import base64
import secrets
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from typing import Final

from aiohttp import web

from infra.clickhouse.client import open_client, parse_url, saying_why
from infra.deployment import Deployment
from infra.faults.secrecy import Needle, needles_of_key
from infra.keys.folder import KeyFolder
from infra.operations.log_access import saying_why as saying_why_of_the_log
from streams.producer import Publisher
from streams.topics import SESSION_LEASES

TABLE: Final = "secrets_scan"
NAME: Final = "planted"
_HOLD: Final = (
    "import sys; held = sys.stdin.buffer.read(32); print('held', flush=True);"
    " sys.stdin.buffer.read()"
)
"""A process that holds a secret until its standard input ends."""


class Plant:
    """One random secret, in other forms in each kind of place."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self.needles: tuple[Needle, ...] = tuple(needles_of_key(NAME, self._secret))

    def __repr__(self) -> str:
        return "Plant(***)"

    async def in_topic(self, deployment: Deployment) -> None:
        """A record that no reader can read, in a topic that is kept for an hour: compressed or
        not, what a consumer gets must be looked at. Raises KafkaError.
        """
        state_key = KeyFolder(deployment.keys).state_key()
        publisher = Publisher(deployment.broker(), client_id=NAME, state_key=state_key)
        with saying_why_of_the_log(deployment.broker()):
            await publisher.start()
            try:
                await publisher.publish(SESSION_LEASES, NAME, self._secret.hex().encode())
            finally:
                await publisher.stop()

    def in_table(self, deployment: Deployment) -> None:
        """A row of a table of its own, whose files ClickHouse compresses."""
        with saying_why(), closing(open_client(parse_url(deployment.clickhouse_url()))) as client:
            client.command(f"CREATE TABLE {TABLE} (word String) ENGINE = MergeTree ORDER BY word")
            client.insert(TABLE, [[self._secret.hex().upper()]], column_names=["word"])

    def take_table(self, deployment: Deployment) -> None:
        """Remove the table."""
        with saying_why(), closing(open_client(parse_url(deployment.clickhouse_url()))) as client:
            client.command(f"DROP TABLE IF EXISTS {TABLE} SYNC")

    def in_files(self, deployment: Deployment) -> None:
        """In a log, and raw in a temporary file."""
        with (deployment.home / "logs" / f"{NAME}.log").open("wb") as log:
            log.write(b"a line with " + self._base64() + b" in it\n")
        temporary = deployment.home / "tmp"
        temporary.mkdir(exist_ok=True)
        (temporary / NAME).write_bytes(b"\0" * 5000 + self._secret)

    def take_files(self, deployment: Deployment) -> None:
        """Remove both."""
        (deployment.home / "logs" / f"{NAME}.log").unlink(missing_ok=True)
        (deployment.home / "tmp" / NAME).unlink(missing_ok=True)

    @asynccontextmanager
    async def in_metrics(self) -> AsyncIterator[Mapping[str, str]]:
        """An answer of metrics with the secret in a label, until the block ends."""

        async def metrics(_: web.Request) -> web.Response:
            return web.Response(text=f'errors_total{{detail="{self._base64().decode()}"}} 1\n')

        app = web.Application()
        app.router.add_get("/metrics", metrics)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield {NAME: f"http://127.0.0.1:{runner.addresses[0][1]}/metrics"}
        finally:
            await runner.cleanup()

    @asynccontextmanager
    async def in_process(self) -> AsyncIterator[int]:
        """The id of a process that holds it in memory and says it in its command line."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", _HOLD, self._secret.hex()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(self._secret)
            await process.stdin.drain()
            await process.stdout.readline()
            yield process.pid
        finally:
            process.stdin.close()
            await process.wait()

    def _base64(self) -> bytes:
        return base64.b64encode(self._secret)
