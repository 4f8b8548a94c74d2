"""The process: listens, announces itself, is confined, opens the engine, serves, and stops."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Final

import msgspec
from aiohttp import web

from infra.clickhouse import landlock
from infra.clickhouse.app import Front
from infra.clickhouse.bodies import BodyReader
from infra.clickhouse.config import EngineConfig, write_config
from infra.clickhouse.connections import ConnectionCap
from infra.clickhouse.data_files import DataFiles
from infra.clickhouse.engine import Engine
from infra.clickhouse.limits import Limits
from infra.clickhouse.origins import LOOPBACK_NAMES
from infra.clickhouse.users import User, load_users
from infra.clickhouse.workers import Workers

_LOG: Final = logging.getLogger(__name__)
_BACKLOG: Final = 128


class ServerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says."""

    path: Path
    """Everything that the process keeps: it may write below this and nowhere else."""
    host: str
    port: int
    """0: any free one, see `announce`."""
    users_file: Path
    announce: Path | None
    """Where host, port and pid are written as JSON, once the port listens."""
    host_names: tuple[str, ...]
    """Names besides loopback's under which clients may address the server."""
    database: str
    """Where a request that names no database looks, once it exists."""
    fsync: bool
    limits: Limits


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """Where the server listens. It answers as soon as the engine is open: ask /ping."""

    host: str
    port: int
    pid: int


def run_server(options: ServerOptions) -> int:
    """Serves until SIGTERM or SIGINT; returns the exit status. The whole process is the server's
    from here on.
    """
    started_at = time.monotonic()
    users = load_users(options.users_file)
    directories = _Directories(options.path.resolve())
    directories.create()
    lock = directories.lock()
    config = write_config(
        EngineConfig(
            data=directories.data,
            directory=directories.config,
            server_memory_bytes_max=options.limits.server_memory_bytes_max,
            disk_reserve_bytes=options.limits.disk_reserve_bytes,
            fsync=options.fsync,
        )
    )
    listener = _listen(options.host, options.port)
    if options.announce is not None:
        _announce(options.announce, listener)
    _confine(directories)
    engine = Engine(directories.data, config)
    seconds = time.monotonic() - started_at
    _LOG.info("ClickHouse %s opened %s in %.1f s", engine.version, directories.data, seconds)
    stopped = asyncio.run(_serve(engine, options, users, listener, directories.temporary))
    if not stopped:
        # A thread is stuck in the engine. Its data survives a kill at any moment, so nothing is
        # waited for.
        _LOG.warning("a statement did not end in time; leaving without it")
    _LOG.info("stopped")
    lock.close()
    logging.shutdown()
    os._exit(0)


class _Directories:
    """The data directory's parts: the engine writes data and temporary files, its configuration it
    may only read.
    """

    def __init__(self, path: Path) -> None:
        self.data = path / "data"
        self.temporary = path / "tmp"
        self.config = path / "config"

    def create(self) -> None:
        for directory in (self.data, self.temporary, self.config):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Importing chdb opens a throw-away engine there, and bodies wait there.
        os.environ["TMPDIR"] = str(self.temporary)
        tempfile.tempdir = str(self.temporary)

    def lock(self) -> IO[bytes]:
        """Held for as long as the file is open. Raises RuntimeError where another process holds it.

        The engine has a lock of its own, but comes to it only when the port is long announced.
        """
        file = (self.config / "lock").open("wb")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RuntimeError(f"another process serves {self.data}") from error
        return file


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    listener.setblocking(False)
    return listener


def _announce(path: Path, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    content = msgspec.json.encode(Announcement(host=host, port=port, pid=os.getpid()))
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_bytes(content + b"\n")
    scratch.replace(path)


def _confine(directories: _Directories) -> None:
    version = landlock.confine(
        readable=(*_readable(), directories.config),
        writable=(directories.data, directories.temporary, Path("/dev/null")),
    )
    if version == 0:
        _LOG.warning(
            "NOT CONFINED: this kernel has no Landlock. Whoever may send SQL here can read files"
            " and run commands as this user: keep the port on loopback, and strangers away."
        )
    else:
        _LOG.info("confined by Landlock %d to %s", version, directories.data)


def _readable() -> tuple[Path, ...]:
    """What Python and the engine were found to read; the environment file under /proc is empty (see
    __main__).
    """
    own = Path("/proc") / str(os.getpid())
    names = (
        "/usr /lib /lib64 /proc/meminfo /proc/stat /proc/cpuinfo /proc/sys /sys/fs/cgroup"
        " /sys/devices/system /dev/urandom /etc/localtime /etc/hosts /etc/mime.types"
    )
    return (
        Path(sys.prefix),
        Path(sys.base_prefix),
        Path(__file__).parent,
        own,
        *map(Path, names.split()),
    )


async def _serve(
    engine: Engine,
    options: ServerOptions,
    users: dict[str, User],
    listener: socket.socket,
    temporary: Path,
) -> bool:
    limits = options.limits
    files = DataFiles(temporary)
    files.remove_leftovers()
    workers = Workers(engine, limits, time.monotonic, options.database, files)
    bodies = BodyReader(workers.bodies, temporary, limits)
    front = Front(workers, bodies, users, LOOPBACK_NAMES | frozenset(options.host_names))
    runner = web.AppRunner(
        front.app(),
        access_log=None,
        shutdown_timeout=0.1,
        auto_decompress=False,
        handler_cancellation=True,
        keepalive_timeout=limits.keep_alive_seconds_max,
        max_line_size=limits.uri_bytes_max,
        max_field_size=limits.header_bytes_max,
    )
    await runner.setup()
    assert runner.server is not None, "setup makes it"
    cap = ConnectionCap(
        runner.server,
        count_max=limits.connection_count_max,
        first_request_seconds_max=limits.first_request_seconds_max,
    )
    front.begun = cap.begun
    loop = asyncio.get_running_loop()
    server = await loop.create_server(cap, sock=listener, start_serving=True)
    host, port = listener.getsockname()[:2]
    _LOG.info("serving ClickHouse's HTTP interface on %s port %d", host, port)
    await _stop_signal()
    _LOG.info("stopping")
    server.close()
    # Together: a worker may wait for a handler to read, and a handler for a worker to write.
    stopped, _ = await asyncio.gather(workers.stop(), runner.cleanup())
    return stopped


async def _stop_signal() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
