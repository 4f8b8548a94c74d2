"""`playhead secrets-scan`: a deployment of its own, a viewer with known secrets, the search."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from infra.clickhouse.client import saying_why
from infra.deployment import Deployment
from infra.faults.secrecy import (
    EVERYWHERE,
    Needle,
    found_in_files,
    found_in_tables,
    needles_of_folder,
)
from infra.operations.log_access import CONSUMER_GROUPS
from infra.sandbox import Sandbox, running_sandbox
from infra.secrecy.answers import found_in_answers, metrics_urls
from infra.secrecy.memory import family_of, found_in_memory, found_in_process_list
from infra.secrecy.planting import NAME, Plant
from infra.secrecy.topics import found_in_topics
from infra.secrecy.viewing import SOURCE, TIMEOUT_S, Viewer
from schemas.errors import PlayheadError
from streams.clock import system_clock
from streams.lag import read_lags

Say = Callable[[str], None]
Found = dict[str, set[str]]

QUIET_TIMEOUT_S: Final = 120.0
LOOK_S: Final = 1.0
CONTROL: Final = Needle("control", SOURCE.encode())
KNOW_NO_SECRET: Final = frozenset(
    {"kafka", "clickhouse", "fold", "analytics", "bitrate", "steering"}
)
"""Components whose memory is looked into: gateway, edges and the agents that answer viewers hold
tokens or keys while they use them, which is what memory is for."""
OF_THEIR_OWN: Final = frozenset({"clickhouse.json", "state.key"})
"""Files of the key folder that those components are given: not looked for in memory."""


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A secret where it must not be."""

    secret: str
    place: str


class ScanReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked for, where, and what was found."""

    secrets: int
    forms: int
    looked_into: dict[str, int]
    """By kind of place, how many of it have anything in them."""
    hits: tuple[Hit, ...]
    planted_not_found: tuple[str, ...]
    """Kinds of places where a planted secret was missed: the search proves nothing there."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found but what was planted."""
        return not self.hits and not self.planted_not_found


async def scan_secrets(home: Path, *, runtime: Path, say: Say) -> ScanReport:
    """Raises PlayheadError where the deployment does not come up or does not play."""
    plant = Plant()
    with _temporary_files_in(home / "tmp"):
        async with running_sandbox(home, runtime=runtime, canary=True) as sandbox:
            say("a viewer plays")
            needles = [EVERYWHERE, CONTROL, *await _played(sandbox)]
            await _until_stored(sandbox.deployment)
            _dump_threads(sandbox)
            say(f"looking for {len(needles) - 2} forms of its secrets")
            running = await _looked_into(sandbox, needles)
            say("the same with a planted secret in each kind of place")
            missed = await _missed(sandbox.deployment, plant)
        # Stopping writes too: last words in logs, what the broker flushes.
        stopped = await asyncio.to_thread(found_in_files, home, needles)
    running["file"] = {
        path: stopped.get(path, set()) | running["file"].get(path, set())
        for path in stopped.keys() | running["file"].keys()
    }
    return reported(needles, running, missed)


async def _played(sandbox: Sandbox) -> list[Needle]:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as http:
            viewer = Viewer(sandbox, http)
            await viewer.play()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise PlayheadError(f"the viewer could not play: {type(error).__name__}") from error
    return [*needles_of_folder(sandbox.deployment.keys), *viewer.needles]


async def _looked_into(sandbox: Sandbox, needles: list[Needle]) -> dict[str, Found]:
    """By kind of place."""
    deployment = sandbox.deployment
    with saying_why():
        tables = await asyncio.to_thread(found_in_tables, deployment.reader_url(), needles)
    return {
        "topic": await found_in_topics(deployment.broker(), needles),
        "table": tables,
        "file": await asyncio.to_thread(found_in_files, deployment.home, needles),
        "metrics": await found_in_answers(metrics_urls(deployment), needles),
        "memory": await asyncio.to_thread(_in_memories, sandbox, needles),
        "process list": await asyncio.to_thread(_in_process_lists, sandbox, needles),
    }


def _in_memories(sandbox: Sandbox, needles: Iterable[Needle]) -> Found:
    wanted = [n for n in needles if n.name not in OF_THEIR_OWN | {CONTROL.name}]
    found: Found = {}
    for name, pid in _processes(sandbox, KNOW_NO_SECRET):
        found.setdefault(name, set()).update(found_in_memory(pid, wanted))
    return {name: names for name, names in found.items() if names}


def _in_process_lists(sandbox: Sandbox, needles: Iterable[Needle]) -> Found:
    wanted, found = list(needles), dict[str, set[str]]()
    for name, pid in _processes(sandbox):
        found.setdefault(name, set()).update(found_in_process_list(pid, wanted))
    return {name: names for name, names in found.items() if names}


def _dump_threads(sandbox: Sandbox) -> None:
    """Every Java process writes what its threads do into its log, which is then looked into."""
    for _, pid in _processes(sandbox):
        with suppress(OSError):  # it has ended meanwhile
            if Path(f"/proc/{pid}/comm").read_text().strip() == "java":
                os.kill(pid, signal.SIGQUIT)


def _processes(sandbox: Sandbox, only: frozenset[str] | None = None) -> Iterator[tuple[str, int]]:
    """Component and process id; what has ended since is left out."""
    for name, pid in sandbox.pids_by_name().items():
        if only is None or name in only:
            yield from ((name, each) for each in family_of(pid) if Path(f"/proc/{each}").exists())


async def _missed(deployment: Deployment, plant: Plant) -> tuple[str, ...]:
    """Plant it everywhere, look, and take it out again as far as it can be."""
    found = {}
    await plant.in_topic(deployment)
    found["topic"] = await found_in_topics(deployment.broker(), plant.needles)
    await asyncio.to_thread(plant.in_table, deployment)
    await asyncio.to_thread(plant.in_files, deployment)
    try:
        with saying_why():
            url = deployment.clickhouse_url()
            found["table"] = await asyncio.to_thread(found_in_tables, url, plant.needles)
        files = await asyncio.to_thread(found_in_files, deployment.home, plant.needles)
    finally:
        await asyncio.to_thread(plant.take_files, deployment)
        await asyncio.to_thread(plant.take_table, deployment)
    found |= _kinds_of_files(files)
    async with plant.in_metrics() as urls:
        found["metrics"] = await found_in_answers(urls, plant.needles)
    async with plant.in_process() as pid:
        found["memory"] = {NAME: await asyncio.to_thread(found_in_memory, pid, plant.needles)}
        found["process list"] = {NAME: found_in_process_list(pid, plant.needles)}
    return tuple(kind for kind, places in found.items() if not any(places.values()))


def _kinds_of_files(files: Mapping[str, set[str]]) -> dict[str, Found]:
    folders = {"log": "logs/", "temporary file": "tmp/", "segment": "kafka/"}
    return {
        kind: {path: names for path, names in files.items() if path.startswith(folder)}
        for kind, folder in folders.items()
    }


async def _until_stored(deployment: Deployment) -> None:
    """Everything that was said is where it is kept. Raises PlayheadError after QUIET_TIMEOUT_S."""
    try:
        async with asyncio.timeout(QUIET_TIMEOUT_S):
            while True:
                lags = await read_lags(deployment.broker(), CONSUMER_GROUPS, system_clock())
                if not any(lag.consumer_lag for lag in lags):
                    return
                await asyncio.sleep(LOOK_S)
    except TimeoutError as error:
        raise PlayheadError("what was played is not stored: `playhead lag`") from error


def reported(
    needles: Sequence[Needle], places: Mapping[str, Found], missed: tuple[str, ...]
) -> ScanReport:
    """What was found, but for what shows that the search finds something."""
    harmless = {CONTROL.name, EVERYWHERE.name}
    controls = {
        kind: [place for place, names in found.items() if CONTROL.name in names]
        for kind, found in places.items()
    }
    # The viewer's events must stand in the log, in its files and in the table.
    blind = tuple(f"{kind} (control)" for kind in ("topic", "table", "file") if not controls[kind])
    hits = tuple(
        Hit(secret=name, place=f"{kind} {place}")
        for kind, found in places.items()
        for place, names in sorted(found.items())
        for name in sorted(names - harmless)
    )
    return ScanReport(
        secrets=len({needle.name for needle in needles} - harmless),
        forms=sum(needle.name not in harmless for needle in needles),
        looked_into={kind: len(found) for kind, found in places.items()},
        hits=hits,
        planted_not_found=(*missed, *blind),
    )


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """What any process of the deployment puts into the temporary folder is looked into as well."""
    folder.mkdir(parents=True, exist_ok=True)
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(folder)
    tempfile.tempdir = None
    try:
        yield
    finally:
        tempfile.tempdir = None
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before
