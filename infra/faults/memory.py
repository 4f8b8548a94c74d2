"""The largest resident memory of each component over a run (Linux)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from infra.bench.processes import resident_bytes
from infra.sandbox import Sandbox
from infra.supervisor.run_state import read_state

LOOK_S: Final = 2.0
MIB: Final = 1 << 20
BOUNDS_BYTES: Final = {"gateway": 256 * MIB, "analytics": 400 * MIB}
OTHER_BYTES_MAX: Final = 400 * MIB
UNBOUND: Final = frozenset({"kafka", "clickhouse"})
"""Their own settings bound them: the heap, and what the server may take for queries."""


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
        state = read_state(self._sandbox.deployment.home)
        for component in state.components if state is not None else ():
            with suppress(OSError, IndexError):  # It ended meanwhile.
                if component.pid:
                    resident = resident_bytes(component.pid)
                    self.peaks[component.name] = max(self.peaks.get(component.name, 0), resident)

    def beyond(self) -> list[str]:
        """Components that were larger than they may be."""
        return [
            name
            for name, peak in self.peaks.items()
            if name not in UNBOUND and peak > BOUNDS_BYTES.get(name, OTHER_BYTES_MAX)
        ]
