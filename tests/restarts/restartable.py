"""A whole deployment that tests stop and start again on its home."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from infra.sandbox import Sandbox, running_sandbox
from tests.integration.broker import runtime_folder


class Restartable:
    """`sandbox` is what runs now; its ports are others after each start."""

    sandbox: Sandbox

    def __init__(self, home: Path) -> None:
        self.home = home
        self._running = AsyncExitStack()

    async def start(self) -> None:
        """Returns when everything is ready."""
        running = running_sandbox(self.home, runtime=runtime_folder())
        self.sandbox = await self._running.enter_async_context(running)

    async def end(self) -> None:
        """Ends it whatever state it is in."""
        await self._running.aclose()
