"""Runs a table of components until a signal, or until one of them cannot be started."""

import asyncio
import contextlib
import os
import signal
import socket
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import IO

from rich.console import Console

from infra.supervisor.child import kill_marked
from infra.supervisor.component import Component, check_table, stop_stages
from infra.supervisor.errors import ComponentFailedError, PortTakenError
from infra.supervisor.logs import ComponentLog
from infra.supervisor.report import Report
from infra.supervisor.run_state import RunState, read_state, take_lock, write_state
from infra.supervisor.runner import Runner, Surroundings

# Of the 10 s that a stop may take, two are left for what remains and the process's own end.
STOP_TIMEOUT_S = 8.0
LEFTOVERS_TIMEOUT_S = 3.0
REPORT_INTERVAL_S = 0.2
# Whoever stops a whole process group may reach the supervisor twice.
SIGNAL_ECHO_S = 0.5
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Called once with the seconds since the start; may go on for as long as it likes.
OnReady = Callable[[float], Awaitable[None]]


async def supervise(
    components: Sequence[Component],
    home: Path,
    on_ready: OnReady,
    *,
    console: Console | None = None,
    lock: IO[str] | None = None,
) -> int:
    """Run every component until SIGINT or SIGTERM, and stop them in order.

    `lock` is what `take_lock` gave, where the caller had to be alone before this.
    Return 0 after a signal, 1 when a component was given up. Raises SupervisorError before
    anything is started, and whatever a component's `then` or `on_ready` raises, after the stop.
    """
    check_table(components)
    with lock or take_lock(home):
        await _end_leftovers(home)
        check_ports(components)
        return await _Supervision(components, home, Report(console or Console())).run(on_ready)


async def _end_leftovers(home: Path) -> None:
    """kill -9 what a supervisor that was itself killed has left, and wait until it is gone."""
    previous = read_state(home)
    deadline_s = time.monotonic() + LEFTOVERS_TIMEOUT_S
    while previous is not None and kill_marked(previous.run_id):
        if time.monotonic() > deadline_s:
            return
        await asyncio.sleep(REPORT_INTERVAL_S)


def check_ports(components: Sequence[Component]) -> None:
    """Raise PortTakenError when somebody listens on a port that a component is to have."""
    for component in components:
        if not component.port:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", component.port))
            except OSError:
                raise PortTakenError(
                    f"port {component.port}, meant for {component.name}, is taken: stop what "
                    f"listens there or set another one (0 takes any free port)"
                ) from None


class _Supervision:
    """One run: the runners, their tasks, and the first reason to stop."""

    def __init__(self, components: Sequence[Component], home: Path, report: Report) -> None:
        self._home = home
        self._report = report
        self._run_id = uuid.uuid4().hex
        self._started_at_ms = time.time_ns() // 1_000_000
        self._started_at_s = time.monotonic()
        self._stop = asyncio.Event()
        self._stop_asked_at_s = 0.0
        self._failure: BaseException | None = None
        around = Surroundings(
            run_id=self._run_id,
            report=report,
            all_were_ready=self._all_were_ready,
            on_change=self._write_state,
        )
        logs = home / "logs"
        self._runners = {
            each.name: Runner(each, ComponentLog(logs / f"{each.name}.log"), around)
            for each in components
        }

    async def run(self, on_ready: OnReady) -> int:
        """Start, wait, stop; see `supervise`."""
        self._write_state()
        self._listen_to_signals()
        tasks = [asyncio.create_task(self._run(each)) for each in self._runners.values()]
        announcing = asyncio.create_task(self._announce(on_ready))
        for task in (*tasks, announcing):
            task.add_done_callback(self._note_failure)
        try:
            await self._stop.wait()
        finally:
            announcing.cancel()
            await self._stop_all(tasks)
            self._ignore_signals()
        match self._failure:
            case None:
                return 0
            case ComponentFailedError():
                return 1
            case failure:
                raise failure

    async def _run(self, runner: Runner) -> None:
        async def dependencies() -> None:
            for name in runner.component.after:
                await self._runners[name].was_ready.wait()

        await runner.run(dependencies())

    async def _announce(self, on_ready: OnReady) -> None:
        """Draw what is awaited until all are ready, then say so."""
        while not self._all_were_ready():
            now_s = time.monotonic()
            self._report.awaiting(
                (name, now_s - runner.started_at_s)
                for name, runner in self._runners.items()
                if runner.started_at_s and not runner.was_ready.is_set()
            )
            await asyncio.sleep(REPORT_INTERVAL_S)
        self._report.await_none()
        await on_ready(time.monotonic() - self._started_at_s)

    async def _stop_all(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Stop stage by stage; whatever is left at the deadline is killed."""
        self._report.await_none()
        started_at_s = time.monotonic()
        for stage in stop_stages([runner.component for runner in self._runners.values()]):
            runners = [self._runners[component.name] for component in stage]
            running = [runner.component.name for runner in runners if runner.has_process]
            if running:
                self._report.stopping(running)
            left_s = max(0.0, started_at_s + STOP_TIMEOUT_S - time.monotonic())
            await asyncio.gather(
                *(runner.stop(min(runner.component.grace_s, left_s)) for runner in runners)
            )
        await asyncio.wait(tasks, timeout=1.0)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        kill_marked(self._run_id)
        self._write_state()
        self._report.stopped(time.monotonic() - started_at_s)

    def _note_failure(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        failure = task.exception()
        if failure is not None:
            self._failure = self._failure or failure
            self._stop.set()

    def _all_were_ready(self) -> bool:
        return all(runner.was_ready.is_set() for runner in self._runners.values())

    def _write_state(self) -> None:
        state = RunState(
            run_id=self._run_id,
            pid=os.getpid(),
            started_at_ms=self._started_at_ms,
            components=tuple(runner.state for runner in self._runners.values()),
        )
        with contextlib.suppress(OSError):  # A full disk must not stop what runs.
            write_state(self._home, state)

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            # Under nohup a hangup is to be ignored.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                loop.add_signal_handler(number, self._take_signal)

    def _take_signal(self) -> None:
        """The first signal stops in order; a second one, not just its echo, kills."""
        now_s = time.monotonic()
        if not self._stop.is_set():
            self._stop_asked_at_s = now_s
            self._stop.set()
        elif now_s - self._stop_asked_at_s > SIGNAL_ECHO_S:
            for runner in self._runners.values():
                runner.kill()

    def _ignore_signals(self) -> None:
        for number in STOP_SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)
