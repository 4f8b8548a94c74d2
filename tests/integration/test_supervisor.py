"""The supervisor with real processes: order, deaths, stops, and that nothing is left."""

import asyncio
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from infra.supervisor.child import RUN_ID_VARIABLE, die_with_parent
from infra.supervisor.run_state import ComponentState, is_running, read_state

TIMEOUT_S = 20.0
T = TypeVar("T")


@asynccontextmanager
async def supervised(home: Path, scenario: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.supervised", str(home), scenario),
        cwd=Path(__file__).parents[2],
        stdout=PIPE,
        stderr=PIPE,
        preexec_fn=die_with_parent(),
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until(look: Callable[[], T | None]) -> T:
    async with asyncio.timeout(TIMEOUT_S):
        while not (seen := look()):  # noqa: ASYNC110 (the event is in another process)
            await asyncio.sleep(0.02)
        return seen


async def announced(process: Process) -> str:
    """What the supervisor prints until it says that everything is ready."""
    assert process.stdout is not None
    lines = ""
    async with asyncio.timeout(TIMEOUT_S):
        while "all ready in" not in lines:
            line = await process.stdout.readline()
            assert line, lines
            lines += line.decode()
    return lines


def component(home: Path, name: str) -> ComponentState | None:
    state = read_state(home)
    return next((each for each in state.components if each.name == name), None) if state else None


def all_ready(home: Path) -> bool:
    state = read_state(home)
    return state is not None and all(each.status in {"ready", "done"} for each in state.components)


def marked(run_id: str) -> list[int]:
    """The processes that carry the run in their environment: children, and their children."""
    mark = f"{RUN_ID_VARIABLE}={run_id}".encode()
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def run_id(home: Path) -> str:
    state = read_state(home)
    assert state is not None
    return state.run_id


async def test_components_start_after_what_they_need_and_stop_before_it(tmp_path: Path) -> None:
    async with supervised(tmp_path, "whole") as process:
        ready_lines = await announced(process)
        assert is_running(tmp_path)
        process.send_signal(signal.SIGTERM)
        output, errors = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
    assert errors == b""
    assert process.returncode == 0
    order = (tmp_path / "order").read_text().split()
    assert order == ["kafka", "topics", "license", "gateway"]
    assert all(name in ready_lines for name in order)
    lines = output.decode()
    stops = [lines.index(f"stopping         {name}") for name in ("gateway", "license", "kafka")]
    assert stops == sorted(stops)
    assert marked(run_id(tmp_path)) == []
    assert not is_running(tmp_path)


async def test_a_killed_component_comes_back_and_its_death_is_told(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "license.log"
    async with supervised(tmp_path, "whole") as process:
        await announced(process)
        killed = component(tmp_path, "license")
        assert killed is not None
        os.kill(killed.pid, signal.SIGKILL)
        await until(lambda: log.read_text() == "here\nhere\n")
        back = component(tmp_path, "license")
        assert back is not None
        assert back.restart_count == 1
        assert back.pid not in {0, killed.pid}
        own_nice = os.getpriority(os.PRIO_PROCESS, process.pid)
        assert os.getpriority(os.PRIO_PROCESS, back.pid) == own_nice + 3, "it yields as before"
        process.send_signal(signal.SIGINT)
        output, _ = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
    assert b"killed by SIGKILL; starting again" in output
    assert (tmp_path / "order").read_text().split().count("license") == 1


async def test_a_component_that_ignores_signals_is_killed_with_its_children(
    tmp_path: Path,
) -> None:
    async with supervised(tmp_path, "stubborn") as process:
        await until(lambda: all_ready(tmp_path))
        log = tmp_path / "logs" / "stubborn.log"
        await until(lambda: log.exists() and log.read_text() == "here\n")
        assert len(marked(run_id(tmp_path))) == 2
        asked_at_s = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), TIMEOUT_S) == 0
        assert time.monotonic() - asked_at_s < 10
    assert marked(run_id(tmp_path)) == []


async def test_nothing_outlives_a_killed_supervisor_but_strays_that_the_next_start_ends(
    tmp_path: Path,
) -> None:
    async with supervised(tmp_path, "stubborn") as process:
        await until(lambda: all_ready(tmp_path))
        log = tmp_path / "logs" / "stubborn.log"
        await until(lambda: log.exists() and log.read_text() == "here\n")
        first_run = run_id(tmp_path)
        process.kill()
        await process.wait()
    await until(lambda: len(marked(first_run)) <= 1)
    async with supervised(tmp_path, "whole") as process:
        await until(lambda: run_id(tmp_path) != first_run and all_ready(tmp_path))
        assert marked(first_run) == []


async def test_a_second_supervisor_on_one_home_is_refused(tmp_path: Path) -> None:
    async with supervised(tmp_path, "whole") as first:
        await until(lambda: all_ready(tmp_path))
        async with supervised(tmp_path, "whole") as second:
            _, errors = await asyncio.wait_for(second.communicate(), TIMEOUT_S)
        assert second.returncode == 1
        assert f"already runs on {tmp_path} (process {first.pid})" in errors.decode()
        assert len(errors.splitlines()) == 1


async def test_a_port_that_is_taken_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        async with supervised(tmp_path, str(port)) as process:
            _, errors = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
    assert process.returncode == 1
    assert f"port {port}, meant for gateway, is taken" in errors.decode()
    assert read_state(tmp_path) is None


async def test_a_component_that_cannot_start_ends_the_run_with_its_last_words(
    tmp_path: Path,
) -> None:
    async with supervised(tmp_path, "failing") as process:
        output, _ = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
    assert process.returncode == 1
    assert "exit code 1; given up" in output.decode()
    assert "the disk is not there" in output.decode()
    assert marked(run_id(tmp_path)) == []
