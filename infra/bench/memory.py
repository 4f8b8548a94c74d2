"""The largest resident memory of each component over a run (Linux)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from infra.bench.processes import resident_bytes
from infra.sandbox import Sandbox

LOOK_S: Final = 1.0


class MemoryWatch:
    """Looks from `run` until it is cancelled."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.peaks: dict[str, int] = {}
        """Bytes, by component."""

    async def run(self) -> None:
        """Look again and again."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        """Once."""
        for name, pid in self._sandbox.pids_by_name().items():
            with suppress(OSError, IndexError):  # It ended meanwhile.
                self.peaks[name] = max(self.peaks.get(name, 0), resident_bytes(pid))
