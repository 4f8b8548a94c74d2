"""A whole deployment in a temporary home on free ports, for benchmarks and tests."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from infra.deployment import Deployment
from infra.settings import Settings
from infra.stack import environment_of, with_ports
from infra.supervisor.child import die_with_parent
from infra.supervisor.run_state import ComponentState, read_state
from schemas.errors import PlayheadError

READY_TIMEOUT_S = 300
STOP_TIMEOUT_S = 20
POLL_S = 0.1
CDN_URLS = "http://127.0.0.1:0,http://localhost:0"
PLAYHEAD = ("-m", "infra.cli")


class SandboxError(PlayheadError):
    """The deployment did not come up; the message ends with what it said."""


class Sandbox:
    """A running deployment: its settings, and the processes of its components."""

    def __init__(self, deployment: Deployment, process: asyncio.subprocess.Process) -> None:
        self.deployment = deployment
        self._process = process

    def component(self, name: str) -> ComponentState:
        """The component as of now; LookupError where it is not part of this deployment."""
        state = read_state(self.deployment.home)
        for component in state.components if state is not None else ():
            if component.name == name:
                return component
        raise LookupError(name)

    def pid_of(self, name: str) -> int:
        """The component's process, 0 while it has none."""
        return self.component(name).pid

    def pids(self) -> list[int]:
        """Every process of the deployment, the supervisor's too."""
        return [self._process.pid, *self.pids_by_name().values()]

    def pids_by_name(self) -> dict[str, int]:
        """The process of each component that has one."""
        state = read_state(self.deployment.home)
        return {c.name: c.pid for c in (state.components if state is not None else ()) if c.pid}

    def kill(self, name: str) -> int:
        """kill -9 the component's process; returns its process id."""
        pid = self.pid_of(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    async def stop(self) -> None:
        """End it as Ctrl-C does; raises TimeoutError where it does not within STOP_TIMEOUT_S."""
        self._process.send_signal(signal.SIGINT)
        await asyncio.wait_for(self._process.wait(), STOP_TIMEOUT_S)

    async def wait_ready(self, timeout_s: float = READY_TIMEOUT_S, *, not_pid: int = 0) -> None:
        """Return when every component is ready or done, none of them being `not_pid`.

        Raises TimeoutError, or SandboxError where the supervisor has ended.
        """
        async with asyncio.timeout(timeout_s):
            while not self._is_ready(not_pid):
                if self._process.returncode is not None:
                    raise SandboxError("the deployment has ended")
                await asyncio.sleep(POLL_S)

    def _is_ready(self, not_pid: int) -> bool:
        state = read_state(self.deployment.home)
        return (
            state is not None
            and state.pid == self._process.pid
            and bool(state.components)
            and all(c.status in {"ready", "done"} for c in state.components)
            and all(c.pid != not_pid for c in state.components if not_pid)
        )


@asynccontextmanager
async def running_sandbox(
    home: Path,
    *,
    only: Sequence[str] = (),
    runtime: Path | None = None,
    demo: bool = False,
    canary: bool = False,
) -> AsyncIterator[Sandbox]:
    """Run `playhead run` on `home`, all of it or only some components, until the block ends.

    `runtime` is where jars and players were downloaded to, shared by a link.
    """
    share_runtime(home, runtime)
    settings = with_ports(
        Settings(
            home=str(home),
            gateway_port=0,
            kafka_port=0,
            clickhouse_port=0,
            cdn_urls=CDN_URLS,
            demo=demo,
            canary=canary,
        )
    )
    async with running_components(settings, only=only) as sandbox:
        yield sandbox


@asynccontextmanager
async def running_components(
    settings: Settings, *, only: Sequence[str] = (), program: Sequence[str] = PLAYHEAD
) -> AsyncIterator[Sandbox]:
    """Run `playhead run` with these settings, their ports chosen, until the block ends.

    `program` is what Python runs, if not the command line. Raises SandboxError where it does not
    come up.
    """
    output = settings.home_path / "supervisor-output.log"
    arguments = ["--only", ",".join(only)] if only else []
    with output.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *program,
            "run",
            *arguments,
            env=environment_of(settings),
            stdout=file,
            stderr=file,
            preexec_fn=die_with_parent(),  # else it would outlive whoever is killed here
        )
    sandbox = Sandbox(Deployment(settings=settings), process)
    try:
        await _until_ready(sandbox, output)
        yield sandbox
    finally:
        await _stop(process)


def share_runtime(home: Path, runtime: Path | None) -> None:
    """Make the home, with a link to what was downloaded for another one."""
    home.mkdir(parents=True, exist_ok=True)
    if runtime is not None and not (home / "runtime").exists():
        runtime.mkdir(parents=True, exist_ok=True)
        (home / "runtime").symlink_to(runtime.absolute())


async def _until_ready(sandbox: Sandbox, output: Path) -> None:
    try:
        await sandbox.wait_ready()
    except (TimeoutError, SandboxError) as error:
        said = await asyncio.to_thread(output.read_text)
        why = str(error) or "not ready in time"
        raise SandboxError(f"{why}:\n{said[-3000:]}") from error


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            process.kill()
            await process.wait()
