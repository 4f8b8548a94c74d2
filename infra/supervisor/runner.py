"""One component's life: wait for others, start, become ready, die, start again, be stopped."""

import asyncio
import signal
import time
from asyncio.subprocess import Process
from collections.abc import Callable, Coroutine

import msgspec

from infra.supervisor.child import RUN_ID_VARIABLE, in_new_child, signal_group
from infra.supervisor.component import Component
from infra.supervisor.errors import ComponentFailedError
from infra.supervisor.logs import ComponentLog
from infra.supervisor.report import Report, describe_exit
from infra.supervisor.restart import RestartDecision, decide_restart
from infra.supervisor.run_state import ComponentState, ComponentStatus

PROBE_INTERVAL_S = 0.1
PROBE_TIMEOUT_S = 5.0
OUTPUT_TIMEOUT_S = 1.0
OUTPUT_CHUNK_BYTES = 64 * 1024


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What a runner needs of the supervisor."""

    run_id: str
    report: Report
    all_were_ready: Callable[[], bool]
    on_change: Callable[[], None]


class Runner:
    """Keeps one component running until `stop`."""

    def __init__(self, component: Component, log: ComponentLog, around: Surroundings) -> None:
        self.component = component
        self.state = ComponentState(
            name=component.name, status="waiting", port=component.port, since_ms=_now_ms()
        )
        self.was_ready = asyncio.Event()
        self.started_at_s = 0.0
        self._log = log
        self._around = around
        self._stopping = asyncio.Event()
        self._process: Process | None = None

    async def run(self, dependencies: Coroutine[object, object, object]) -> None:
        """Start after `dependencies`; return when the component is stopped or done.

        Raises ComponentFailedError when it is given up, and whatever its `then` raises.
        """
        await self._unless_stopping(dependencies)
        quick_death_count = 0
        while not self._stopping.is_set():
            self.started_at_s = time.monotonic()
            why = await self._live()
            if self._stopping.is_set() or not why:
                break
            uptime_s = time.monotonic() - self.started_at_s
            decision = decide_restart(
                quick_death_count=quick_death_count,
                uptime_s=uptime_s,
                was_ready=self.was_ready.is_set(),
                all_were_ready=self._around.all_were_ready(),
            )
            quick_death_count = decision.quick_death_count
            await self._follow(decision, why)
        self._change("done" if self.was_ready.is_set() and self.component.once else "stopped")
        self._log.close()

    @property
    def has_process(self) -> bool:
        """Whether there is anything to stop."""
        return self._process is not None

    async def stop(self, grace_s: float) -> None:
        """Ask the component to end, and kill its whole group after `grace_s`."""
        self._stopping.set()
        process = self._process
        if process is None:
            return
        signal_group(process.pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_s):
                await process.wait()
        except TimeoutError:
            self.kill()

    def kill(self) -> None:
        """kill -9 the component's group; unless it is being stopped it is started again."""
        if self._process is not None:
            signal_group(self._process.pid, signal.SIGKILL)

    async def _live(self) -> str:
        """Run the process once; say why it ended, nothing when its work is done."""
        try:
            process = await self._spawn()
        except OSError as error:
            return f"cannot be started: {error}"
        self._process = process
        self._change("starting", pid=process.pid)
        if self._stopping.is_set():  # It was asked to stop while it was being made.
            self.kill()
        copying = asyncio.create_task(self._copy_output(process))
        try:
            return await self._observe(asyncio.create_task(process.wait()))
        finally:
            self.kill()  # What it leaves behind in its group ends with it.
            await process.wait()
            self._process = None
            await asyncio.wait({copying}, timeout=OUTPUT_TIMEOUT_S)
            copying.cancel()

    async def _spawn(self) -> Process:
        return await asyncio.create_subprocess_exec(
            *self.component.argv,
            env={**self.component.env, RUN_ID_VARIABLE: self._around.run_id},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            process_group=0,
            preexec_fn=in_new_child(self.component.nice),
        )

    async def _observe(self, ending: asyncio.Task[int]) -> str:
        """Follow a process to its end, through the moment it is ready."""
        is_ready = self.component.once or await self._becomes_ready(ending)
        if not is_ready and not ending.done():
            return f"not ready within {self.component.ready_timeout_s:.0f} s"
        code = await ending
        if not self.component.once or code != 0:
            return describe_exit(code)
        await self._is_ready()
        return ""

    async def _becomes_ready(self, ending: asyncio.Task[int]) -> bool:
        """Probe until ready; false when the process ends first or the time is over."""
        deadline_s = time.monotonic() + self.component.ready_timeout_s
        while not ending.done() and time.monotonic() < deadline_s:
            # One that has ended may have left its port to another program, which answers.
            if await self._probe() and not ending.done():
                await self._is_ready()
                return True
            await asyncio.wait({ending}, timeout=PROBE_INTERVAL_S)
        return False

    async def _probe(self) -> bool:
        if self.component.ready is None:
            return True
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                return await self.component.ready()
        except OSError:  # TimeoutError is one of them.
            return False

    async def _is_ready(self) -> None:
        took_s = time.monotonic() - self.started_at_s
        if self.component.then is not None and not self.was_ready.is_set():
            await self.component.then()
        self.was_ready.set()
        pid = self.state.pid
        self._change("ready", pid=pid)
        if self.component.once:
            self._around.report.done(self.component.name, took_s)
        else:
            self._around.report.ready(self.component.name, took_s, self.component.port, pid)

    async def _follow(self, decision: RestartDecision, why: str) -> None:
        """Report the death, then wait for the restart; raises when there is to be none."""
        name, tail = self.component.name, self._log.take_tail()
        if decision.gives_up:
            self._around.report.failed(name, why, self._log.path, tail)
            self._change("stopped")
            raise ComponentFailedError(f"{name}: {why}")
        self._around.report.died(name, why, decision.delay_s, self._log.path, tail)
        self.state = msgspec.structs.replace(self.state, restart_count=self.state.restart_count + 1)
        self._change("restarting")
        await self._unless_stopping(asyncio.sleep(decision.delay_s))

    async def _copy_output(self, process: Process) -> None:
        assert process.stdout is not None
        while output := await process.stdout.read(OUTPUT_CHUNK_BYTES):
            self._log.write(output)

    async def _unless_stopping(self, awaited: Coroutine[object, object, object]) -> None:
        """Await `awaited`, or until the component is to stop."""
        tasks = {asyncio.create_task(awaited), asyncio.create_task(self._stopping.wait())}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    def _change(self, status: ComponentStatus, pid: int = 0) -> None:
        self.state = msgspec.structs.replace(self.state, status=status, pid=pid, since_ms=_now_ms())
        self._around.on_change()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
