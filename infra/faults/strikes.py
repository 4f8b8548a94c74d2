"""Makes the faults of a schedule happen, one after the other, and waits until each is over."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from typing import Final, cast

import clickhouse_connect.driver.exceptions
import msgspec
from aiokafka.errors import KafkaError

from infra.clickhouse.client import open_client, parse_url
from infra.faults.crowd import Crowd
from infra.faults.evidence import Evidence
from infra.faults.poison import publish_poison
from infra.faults.proxy import Mode
from infra.faults.rebalance import storm
from infra.faults.schedule import Fault, Schedule
from infra.faults.stage import Stage

RECOVERY_S_MAX: Final = 180.0
LOOK_S: Final = 0.05
FULL_TABLES: Final = ("events_raw", "events_by_minute", "ingest_ledger", "set_aside_raw")
"""Any of them may be the one that finds no room: a row may be written and its aggregate not."""


class Struck(msgspec.Struct, frozen=True, kw_only=True):
    """What a fault met, and how long it took until clients were served again."""

    fault: Fault
    at_s: float
    """Since the start of the run."""
    in_flight: int
    evidence: str
    touched: int = 0
    """Of links: requests or answers that the fault really hit; of others what it did."""
    recovered_s: float | None = None
    """From the kill, or the end of the fault; None: not within RECOVERY_S_MAX."""

    @property
    def counts(self) -> bool:
        """Whether there was anything that it could have broken."""
        return self.in_flight > 0 and (self.touched > 0 or self.fault.kind in {"kill", "stop"})


class Strikes:
    """Strikes one stage."""

    def __init__(self, stage: Stage, crowd: Crowd, evidence: Evidence) -> None:
        self._stage = stage
        self._sandbox = stage.sandbox
        self._crowd = crowd
        self._evidence = evidence
        self._began_s = time.monotonic()
        self._killed_pid = 0
        self.poison_count = 0

    async def run(self, schedule: Schedule, on_struck: Callable[[Struck], None]) -> list[Struck]:
        """Every fault of the schedule. Raises SandboxError where the deployment ended."""
        all_struck: list[Struck] = []
        for fault in schedule.faults:
            await asyncio.sleep(fault.after_s)
            self._crowd.check()
            struck = await self._strike(fault)
            all_struck.append(struck)
            on_struck(struck)
        return all_struck

    async def _strike(self, fault: Fault) -> Struck:
        found = await self._evidence.wait(fault.place)
        at_s = time.monotonic() - self._began_s
        touched = await self._apply(fault)
        return Struck(
            fault=fault,
            at_s=round(at_s, 1),
            in_flight=found.count,
            evidence=found.what,
            touched=touched,
            recovered_s=await self._recovery(),
        )

    async def _apply(self, fault: Fault) -> int:
        """The fault from its beginning to its end; what it touched."""
        match fault.kind:
            case "kill":
                self._killed_pid = self._sandbox.kill(fault.place)
                return 1
            case "stop":
                return await self._stop(fault.place, fault.lasts_s)
            case "lose" | "reset" | "slow":
                return await self._disturb(fault)
            case "full":
                return await self._fill(fault)
            case "poison":
                return await self._poison(fault)
            case "rebalance":
                return await storm(self._sandbox, fault.place, fault.lasts_s, fault.seed)

    async def _stop(self, name: str, lasts_s: float) -> int:
        """The whole process group: the engine may work in children."""
        pid = self._sandbox.pid_of(name)
        if pid == 0:
            return 0
        os.killpg(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(lasts_s)
        finally:
            os.killpg(pid, signal.SIGCONT)
        return 1

    async def _disturb(self, fault: Fault) -> int:
        proxy = self._stage.proxies[fault.place]
        proxy.chance.seed(fault.seed)
        proxy.strike(cast("Mode", fault.kind))
        try:
            await asyncio.sleep(fault.lasts_s)
        finally:
            proxy.heal()
        return proxy.touched

    async def _fill(self, fault: Fault) -> int:
        """As if the disk were full for one table: ClickHouse itself looks at what is free."""
        table = FULL_TABLES[fault.seed % len(FULL_TABLES)]
        setting = "min_free_disk_bytes_to_perform_insert"
        await self._execute(f"ALTER TABLE {table} MODIFY SETTING {setting} = {1 << 60}")
        try:
            await asyncio.sleep(fault.lasts_s)
        finally:
            await self._execute(f"ALTER TABLE {table} RESET SETTING {setting}")
        return 1

    async def _execute(self, statement: str) -> None:
        def command() -> None:
            client = open_client(parse_url(self._sandbox.deployment.clickhouse_url()))
            try:
                client.command(statement)
            finally:
                client.close()

        deadline_s = time.monotonic() + RECOVERY_S_MAX
        while True:
            try:
                await asyncio.to_thread(command)
            except clickhouse_connect.driver.exceptions.ClickHouseError:
                if time.monotonic() > deadline_s:
                    raise
                await asyncio.sleep(1)
            else:
                return

    async def _poison(self, fault: Fault) -> int:
        try:
            count = await publish_poison(self._sandbox.deployment.broker(), fault.seed)
        except KafkaError:
            return 0
        self.poison_count += count
        return count

    async def _recovery(self) -> float | None:
        """Until every component is ready and a batch that was asked for since is acknowledged."""
        began_s = time.monotonic()
        try:
            await self._sandbox.wait_ready(RECOVERY_S_MAX, not_pid=self._killed_pid)
            async with asyncio.timeout(RECOVERY_S_MAX):
                while self._crowd.tally.acked_at_s <= began_s:  # noqa: ASYNC110 - clients tell it
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            return None
        return round(time.monotonic() - began_s, 1)
