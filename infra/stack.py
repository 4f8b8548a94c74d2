"""What `make run` runs: every component's process, when it may start, and how it tells it is up."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from gateway.delivery.viewer import Cdn
from infra.clickhouse.launch import plan_launch
from infra.deployment import Deployment
from infra.kafka.launch import broker_names, prepare_brokers
from infra.kafka.readiness import is_ready, wait_brokers
from infra.keys.files import write_private
from infra.keys.folder import KeyFolder
from infra.operations.operator import operator_token
from infra.settings import PREFIX, Settings
from infra.supervisor.component import Component, Probe
from infra.supervisor.probes import http_probe
from infra.workers import WORKER_NAMES
from streams.admin import apply_topics
from streams.clock import system_clock
from streams.producer import Publisher
from streams.topics import SIGNING_KEYS

LOOPBACK: Final = "127.0.0.1"
NEW_TOPICS_TIMEOUT_MS: Final = 60_000
"""A broker that has just made its topics takes a while to lead them all."""
EDGE_TOKEN_LIFETIME_S: Final = 365 * 86_400
SOON_NICE: Final = 10
"""A tenth of the weight of who has none."""
UNWAITED_NICE: Final = 15
"""A third of that."""
WORKER_NICE: Final = {
    "account": 0,
    "license": 0,
    "bitrate": SOON_NICE,
    "catalog": SOON_NICE,
    "steering": SOON_NICE,
    "recommendation": UNWAITED_NICE,
    "fold": UNWAITED_NICE,
    "analytics": SOON_NICE,
}
"""On a busy machine, what a viewer waits for comes first: the log, the gateway, these agents. The
weight is a thread's, and ClickHouse has many: at a third each they took half of a core, and a fifth
of the licenses came in time. What keeps the sink near is that events rest (`gateway.turns`).
"""
STORE_STAGE, WORKER_STAGE, FRONT_STAGE = 0, 1, 2
"""What faces clients stops first, the stores last."""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def free_ports(count: int) -> int:
    """The first of so many ports, one after the other, that nobody listens on now."""
    while True:
        first = free_port()
        with suppress(OSError, OverflowError), ExitStack() as held:
            for port in range(first, first + count):
                held.enter_context(closing(socket.socket())).bind((LOOPBACK, port))
            return first


def with_ports(settings: Settings) -> Settings:
    """The settings with every port 0 replaced by a free one."""
    chosen = {
        name: free_port()
        for name in ("gateway_port", "clickhouse_port")
        if getattr(settings, name) == 0
    }
    if settings.kafka_port == 0:
        chosen["kafka_port"] = free_ports(settings.kafka_brokers)
    urls = [url.strip() for url in settings.cdn_urls.split(",")]
    urls = [f"{url[:-2]}:{free_port()}" if url.endswith(":0") else url for url in urls]
    return msgspec.structs.replace(settings, cdn_urls=",".join(urls), **chosen)


def environment_of(settings: Settings) -> dict[str, str]:
    """What a child process is told: the parent's environment and every setting, resolved."""
    base = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    values = {name: getattr(settings, name) for name in settings.__struct_fields__}
    told = {
        PREFIX + name.upper(): str(int(value)) if isinstance(value, bool) else str(value)
        for name, value in values.items()
    }
    ours = {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    return MALLOC | with_bytecode(base, settings.home_path / "runtime") | told | ours


MALLOC: Final = {
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
}
"""glibc gives blocks of more than 128 KiB back to the kernel at once, and pays a page fault for
each 4 KiB of the next one: a produce request of 800 KiB took 4 ms to encode, 0.1 without.
"""


def with_bytecode(environment: Mapping[str, str], runtime: Path) -> dict[str, str]:
    """Who wants no compiled files beside the sources gets them in `runtime`; machine code is kept
    there in any case.

    Compiling everything anew would cost each process as much as all the rest of its start.
    """
    environment = {"NUMBA_CACHE_DIR": str(runtime / "machine-code"), **environment}
    if not environment.get("PYTHONDONTWRITEBYTECODE"):
        return dict(environment)
    kept = {n: v for n, v in environment.items() if n != "PYTHONDONTWRITEBYTECODE"}
    return {"PYTHONPYCACHEPREFIX": str(runtime / "bytecode")} | kept


class Stack:
    """The component table of one deployment; `deployment.settings` have their ports resolved."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._settings = deployment.settings
        self._home = deployment.home
        self._env = environment_of(msgspec.structs.replace(self._settings, home=str(self._home)))

    def components(self) -> list[Component]:
        """Stores first, then workers, then what faces clients."""
        stores: list[Component] = []
        if not self._settings.kafka:
            stores += self._kafka()
        if not self._settings.clickhouse:
            stores.append(self._clickhouse())
        migrations = self._migrations(tuple(c.name for c in stores if c.name == "clickhouse"))
        after_log = tuple(c.name for c in stores if c.name != "clickhouse")
        workers = [self._worker(name, after_log) for name in WORKER_NAMES]
        edges = [self._edge(cdn) for cdn in self._deployment.cdns() if _port_here(cdn) is not None]
        probes = [self._canary()] if self._settings.canary else []
        return [*stores, migrations, *workers, self._gateway(after_log), *edges, *probes]

    def _kafka(self) -> list[Component]:
        """Every broker starts at once; with the first, all of them are awaited for the topics."""
        settings = self._settings
        ports = range(settings.kafka_port, settings.kafka_port + settings.kafka_brokers)
        launches = prepare_brokers(self._home, ports, settings.kafka_fsync)
        brokers = [
            Component(
                name=name,
                argv=launch.argv,
                env=launch.env,
                ready=partial(is_ready, launch.bootstrap),
                port=launch.port,
                stage=STORE_STAGE,
            )
            for name, launch in zip(broker_names(len(launches)), launches, strict=True)
        ]
        first = msgspec.structs.replace(brokers[0], then=lambda: prepare_log(self._deployment))
        return [first, *brokers[1:]]

    def _clickhouse(self) -> Component:
        port = self._settings.clickhouse_port
        launch = plan_launch(self._home, port, database=self._deployment.database)
        return Component(
            name="clickhouse",
            argv=launch.argv,
            env=launch.env,
            ready=http_probe(f"http://{LOOPBACK}:{port}/health"),
            port=port,
            stage=STORE_STAGE,
            nice=SOON_NICE,
        )

    def _migrations(self, after: tuple[str, ...]) -> Component:
        return self._playhead("migrations", ("migrate", "up"), after=after, once=True)

    def _worker(self, name: str, after_log: tuple[str, ...]) -> Component:
        after = (*after_log, "migrations") if name == "analytics" else after_log
        return self._playhead(
            name,
            ("worker", name),
            ready=announced_probe(self._deployment.run / f"worker-{name}.json", "/livez"),
            after=after,
            stage=WORKER_STAGE,
            nice=WORKER_NICE[name],
        )

    def _gateway(self, after_log: tuple[str, ...]) -> Component:
        host, port = self._settings.gateway_host, self._settings.gateway_port
        return self._playhead(
            "gateway",
            ("gateway",),
            ready=http_probe(f"http://{host}:{port}/readyz"),
            after=after_log,
            port=port,
            stage=FRONT_STAGE,
        )

    def _canary(self) -> Component:
        """Not waited for: it starts last, when viewers are served already."""
        after = ("gateway", *WORKER_NAMES)
        return self._playhead("canary", ("canary",), after=after, stage=FRONT_STAGE)

    def _edge(self, cdn: Cdn) -> Component:
        port = _port_here(cdn)
        assert port is not None
        return self._playhead(
            f"edge-{cdn.name}",
            ("edge", cdn.name),
            ready=http_probe(f"http://{LOOPBACK}:{port}/livez"),
            port=port,
            stage=FRONT_STAGE,
        )

    def _playhead(
        self,
        name: str,
        arguments: tuple[str, ...],
        *,
        ready: Probe | None = None,
        after: tuple[str, ...] = (),
        port: int | None = None,
        stage: int = 0,
        once: bool = False,
        nice: int = 0,
    ) -> Component:
        """A component that is one of our own commands."""
        return Component(
            name=name,
            argv=(sys.executable, "-m", "infra.cli", *arguments),
            env=self._env,
            ready=ready,
            after=after,
            port=port,
            stage=stage,
            once=once,
            nice=nice,
        )


async def prepare_log(deployment: Deployment) -> None:
    """Make the topics that are missing and tell who is enrolled."""
    broker = deployment.broker()
    if not deployment.settings.kafka:
        await wait_brokers(broker.bootstrap, deployment.settings.kafka_brokers)
    await apply_topics(broker, replication=deployment.replication)
    publisher = Publisher(
        broker, client_id="playhead-operator", delivery_timeout_ms=NEW_TOPICS_TIMEOUT_MS
    )
    await publisher.start()
    try:
        for enrollment in KeyFolder(deployment.keys).enrollments(system_clock()):
            await publisher.publish(SIGNING_KEYS, enrollment.key_id, enrollment)
    finally:
        await publisher.stop()


def prepare_keys(deployment: Deployment) -> None:
    """Make the keys of a new home, and the token that edges show to the gateway."""
    has_file = deployment.settings.key_provider == "file"
    KeyFolder(deployment.keys).create(with_kek_root=has_file)
    token = operator_token(
        deployment, "edge", subject="demo edges", lifetime_s=EDGE_TOKEN_LIFETIME_S
    )
    write_private(deployment.edge_token_file, token.encode())


def announced_probe(file: Path, path: str) -> Probe:
    """A probe of a process that tells its port in a file."""

    async def answers() -> bool:
        try:
            said = json.loads(file.read_bytes())  # noqa: ASYNC240 - a hundred bytes
        except (FileNotFoundError, ValueError):
            return False
        return await http_probe(f"http://{said['host']}:{said['port']}{path}")()

    return answers


def _port_here(cdn: Cdn) -> int | None:
    """The port of an edge that is on this machine, else None: then it is somebody else's."""
    parts = urlsplit(cdn.base_url)
    return parts.port if parts.hostname in {"127.0.0.1", "localhost"} else None
