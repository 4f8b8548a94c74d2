"""A rebalance storm: another worker of the same group joins and leaves, again and again."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import time
from contextlib import suppress
from typing import Final

from infra.sandbox import PLAYHEAD, Sandbox
from infra.stack import environment_of
from infra.supervisor.child import die_with_parent
from infra.workers import place_of

JOIN_TIMEOUT_S: Final = 60.0
STAY_S: Final = (1.0, 5.0)
LEAVE_TIMEOUT_S: Final = 15.0
LOOK_S: Final = 0.1


async def storm(sandbox: Sandbox, name: str, lasts_s: float, seed: int) -> int:
    """Join and leave for so long, at least once; returns how often a member joined."""
    chance = random.Random(seed)  # noqa: S311 - to be repeated
    end_s = time.monotonic() + lasts_s
    joined = 0
    while joined == 0 or time.monotonic() < end_s:
        instance = f"second-{chance.getrandbits(16):x}"
        joined += await _join_and_leave(sandbox, name, instance, chance)
    return joined


async def _join_and_leave(sandbox: Sandbox, name: str, instance: str, chance: random.Random) -> int:
    announcement = sandbox.deployment.run / f"worker-{place_of(name, instance)}.json"
    with (sandbox.deployment.home / "logs" / f"second-{name}.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *PLAYHEAD,
            *("worker", name, "--instance", instance),
            env=environment_of(sandbox.deployment.settings),
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent(),
        )
    try:
        deadline_s = time.monotonic() + JOIN_TIMEOUT_S
        while not announcement.exists():
            if process.returncode is not None or time.monotonic() > deadline_s:
                return 0
            await asyncio.sleep(LOOK_S)
        await asyncio.sleep(chance.uniform(*STAY_S))
        if chance.random() < 0.5:
            process.send_signal(signal.SIGTERM)
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), LEAVE_TIMEOUT_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return 1
