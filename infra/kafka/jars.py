"""Fetches Kafka's jars with jgo and lets none run whose SHA-256 is not in the committed lock."""

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from infra.kafka.errors import KafkaSetupError

LOCK_FILE = Path(__file__).with_name("jgo.lock.toml")
RESOLVER = Path(__file__).with_name("resolve.py")
FETCH_TIMEOUT_S = 600
FETCH_ATTEMPTS_MAX = 3
PROGRESS_INTERVAL_S = 0.2
INTERRUPTED = "interrupted"

# Called with the jars that are there and the jars there will be.
Progress = Callable[[int, int], None]


class Jar(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One artifact of the lock."""

    group_id: str
    artifact_id: str
    version: str
    sha256: str

    @property
    def name(self) -> str:
        """The coordinate as Maven writes it."""
        return f"{self.group_id}:{self.artifact_id}:{self.version}"

    def path(self, repository: Path) -> Path:
        """Where a Maven repository keeps this jar."""
        folder = repository.joinpath(*self.group_id.split("."), self.artifact_id, self.version)
        return folder / f"{self.artifact_id}-{self.version}.jar"


def read_lock(lock_file: Path = LOCK_FILE) -> tuple[Jar, ...]:
    """Return the locked jars, sorted, so that the class path is the same on every machine."""
    dependencies = tomllib.loads(lock_file.read_text(encoding="utf-8"))["dependencies"]
    return tuple(
        sorted(
            Jar(
                group_id=entry["groupId"],
                artifact_id=entry["artifactId"],
                version=entry["version"],
                sha256=entry["sha256"],
            )
            for entry in dependencies
        )
    )


def differences(locked: Sequence[Jar], resolved: Sequence[Jar]) -> list[str]:
    """Say how two artifact sets differ; empty when they are the same."""
    wanted = {jar.name: jar.sha256 for jar in locked}
    found = {jar.name: jar.sha256 for jar in resolved}
    return (
        [f"{name} is locked but was not resolved" for name in wanted if name not in found]
        + [f"{name} was resolved but is not locked" for name in found if name not in wanted]
        + [
            f"{name} has another SHA-256 than the lock"
            for name in wanted
            if found.get(name, wanted[name]) != wanted[name]
        ]
    )


def damages(locked: Sequence[Jar], repository: Path) -> list[str]:
    """Name the locked jars that are absent from `repository` or not as locked."""
    found: list[str] = []
    for jar in locked:
        path = jar.path(repository)
        if not path.is_file():
            found.append(f"{jar.name} is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != jar.sha256:
            found.append(f"{jar.name} has changed")
    return found


def class_path(repository: Path, locked: Sequence[Jar]) -> str:
    """Exactly the locked jars, so that nothing else in the folder can be loaded."""
    return os.pathsep.join(str(jar.path(repository)) for jar in locked)


def provide_jars(runtime: Path, java_home: Path, on_progress: Progress | None = None) -> str:
    """Return the class path of the verified jars, fetching them when they are not there.

    Raises KafkaSetupError when they cannot be fetched or differ from the lock.
    """
    locked = read_lock()
    repository = runtime / "java"
    with _exclusively(runtime / "java.lock"):
        if not repository.is_dir():
            _fetch(runtime, java_home, locked, on_progress)
    if damaged := damages(locked, repository):
        raise KafkaSetupError(
            f"Kafka's jars in {repository} are not those of the lock ({damaged[0]}); "
            f"remove that folder and start again"
        )
    return class_path(repository, locked)


def _fetch(
    runtime: Path, java_home: Path, locked: tuple[Jar, ...], on_progress: Progress | None
) -> None:
    """Resolve into a fresh folder and rename it, since jgo leaves half files when cut short."""
    fetching = runtime / "java.fetching"
    for attempt in range(1, FETCH_ATTEMPTS_MAX + 1):
        shutil.rmtree(fetching, ignore_errors=True)
        fetching.mkdir(parents=True)
        failure = _resolve(fetching, java_home, len(locked), on_progress)
        if not failure:
            break
        if attempt == FETCH_ATTEMPTS_MAX or failure == INTERRUPTED:
            raise KafkaSetupError(f"Kafka's jars could not be fetched: {failure}")
    if differing := differences(locked, read_lock(fetching / "jgo.lock.toml")):
        raise KafkaSetupError(f"Kafka's jars are not those of the lock: {differing[0]}")
    (fetching / "repository").rename(runtime / "java")
    shutil.rmtree(fetching)


def _resolve(fetching: Path, java_home: Path, jar_count: int, on_progress: Progress | None) -> str:
    """Run jgo in a process of its own; return why it failed, or nothing.

    Its own process, because jgo looks for a Java by JAVA_HOME and would else download one.
    """
    with (fetching / "errors.log").open("w+", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [sys.executable, "-P", str(RESOLVER), str(fetching)],
            env={**os.environ, "JAVA_HOME": str(java_home)},
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        deadline_s = time.monotonic() + FETCH_TIMEOUT_S
        while process.poll() is None:
            if time.monotonic() > deadline_s:
                process.kill()
                process.wait()
                return f"no answer within {FETCH_TIMEOUT_S} s"
            if on_progress is not None:
                on_progress(sum(1 for _ in fetching.glob("repository/**/*.jar")), jar_count)
            time.sleep(PROGRESS_INTERVAL_S)
        errors.seek(0)
        last_line = errors.read().strip().rsplit("\n", 1)[-1]
    if process.returncode == -signal.SIGINT:
        return INTERRUPTED
    return "" if process.returncode == 0 else last_line or f"exit code {process.returncode}"


@contextmanager
def _exclusively(lock_file: Path) -> Iterator[None]:
    """Let one process at a time fetch; the others find the work done."""
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
