"""Operator's commands as processes of their own, for the console."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.ports import Said
from infra.deployment import Deployment
from infra.stack import environment_of
from schemas.errors import RetryableError

AT_ONCE_MAX: Final = 3
WAITING_MAX: Final = 10
TIMEOUT_S: Final = 60.0
GOES_ON_AFTER_S: Final = 5.0
OUTPUT_BYTES_MAX: Final = 4 << 20


class CommandProcesses:
    """`gateway.ports.Operating`: `playhead` of this deployment, never through a shell."""

    def __init__(self, deployment: Deployment) -> None:
        settings = msgspec.structs.replace(deployment.settings, home=str(deployment.home))
        self._env = environment_of(settings)
        self._slots = asyncio.Semaphore(AT_ONCE_MAX)
        self._going: set[asyncio.Task[Said]] = set()

    async def run(self, arguments: Sequence[str], *, goes_on: bool = False) -> Said:
        """To its end; with `goes_on` only for a while, then it goes on without being waited for.

        Raises RetryableError where too many run, or a report takes too long.
        """
        if len(self._going) >= WAITING_MAX:
            raise RetryableError("other commands run already")
        task = asyncio.create_task(self._run(arguments, None if goes_on else TIMEOUT_S))
        self._going.add(task)
        task.add_done_callback(self._going.discard)
        if not goes_on:
            return await asyncio.shield(task)
        done, _ = await asyncio.wait({task}, timeout=GOES_ON_AFTER_S)
        return task.result() if done else Said(code=None, out=b"", err="")

    async def _run(self, arguments: Sequence[str], timeout_s: float | None) -> Said:
        async with self._slots:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "infra.cli", *arguments),
                env=self._env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,  # a replay outlives a restart of the gateway
            )
            try:
                async with asyncio.timeout(timeout_s):
                    out, err = await process.communicate()
            except TimeoutError as error:
                process.kill()
                raise RetryableError(f"{arguments[0]} took longer than {timeout_s} s") from error
            return Said(
                code=process.returncode,
                out=out[:OUTPUT_BYTES_MAX],
                err=err.decode(errors="replace"),
            )
