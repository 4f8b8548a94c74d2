"""Two viewers ask two gateways for an account's last stream, while license workers die and sleep.

Exactly one of them plays, whichever worker answers, however often, and however late it wakes.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infra.deployment import Deployment
from infra.settings import Settings
from infra.stack import environment_of
from infra.supervisor.child import signal_group, start_child
from infra.workers import place_of
from schemas.ids import uuid7
from schemas.licenses import LicenseDecision
from schemas.sessions import Device, OpenSession, SessionOpened
from schemas.subscriptions import Subscription
from streams.broker import Broker
from streams.chain import Chain, Standing
from streams.clock import system_clock
from streams.records import Record
from streams.requests import Asker, NoAnswerError, RefusedError
from streams.topics import LICENSE_DECISIONS, LICENSE_REQUESTS
from streams.view import View
from tests.builders import a_title
from tests.integration.counting import until
from tests.integration.house import House, a_house

AT_ONCE = 40
ASLEEP_S = 14
"""Beyond the 10 s after which the group gives a worker's partitions to another."""
ANSWER_MS = 20_000
"""Longer than the sleep: who wakes finds that its answer is still waited for."""
LATER_S = 3


@dataclass
class Workers:
    """License workers of one group, a process each; whoever halts is started again."""

    house: House
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    halted: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        broker = self.house.broker
        settings = Settings(
            home=str(self.house.home), kafka=broker.bootstrap, namespace=broker.namespace
        )
        self._deployment = Deployment(settings=settings)
        self._environment = environment_of(settings)

    def start(self, instance: str) -> None:
        (self._deployment.run / f"worker-{place_of('license', instance)}.json").unlink(
            missing_ok=True
        )
        argv = [sys.executable, "-m", "infra.cli", "worker", "license", "--instance", instance]
        with (self.house.home / f"license-{instance}.log").open("ab") as output:
            self.processes[instance] = start_child(argv, self._environment, output)

    async def ready(self) -> None:
        async def are_announced() -> bool:
            return all(
                (self._deployment.run / f"worker-{place_of('license', instance)}.json").exists()
                for instance in self.processes
            )

        await until(are_announced)

    def signal(self, instance: str, number: signal.Signals) -> None:
        os.kill(self.processes[instance].pid, number)

    async def keep_up(self) -> None:
        """As the supervisor does."""
        while True:
            for instance, process in list(self.processes.items()):
                if (code := process.poll()) is not None:
                    self.halted[f"{instance}: {code}"] += 1
                    self.start(instance)
            await asyncio.sleep(0.2)

    def end(self) -> None:
        for process in self.processes.values():
            signal_group(process.pid, signal.SIGKILL)
            process.wait()


@asynccontextmanager
async def working(house: House) -> AsyncIterator[Workers]:
    workers = Workers(house)
    for instance in ("1", "2"):
        workers.start(instance)
    keeping = asyncio.create_task(workers.keep_up())
    try:
        await workers.ready()
        yield workers
    finally:
        keeping.cancel()
        workers.end()


async def disturb(workers: Workers) -> None:
    """Sleep beyond the time-out, death, and a clean leave, of one worker and then of the other."""
    for instance in itertools.cycle(("1", "2")):
        await asyncio.sleep(LATER_S)
        workers.signal(instance, signal.SIGSTOP)
        await asyncio.sleep(ASLEEP_S)
        workers.signal(instance, signal.SIGCONT)
        for number in (signal.SIGKILL, signal.SIGTERM):
            await asyncio.sleep(LATER_S)
            await workers.ready()
            workers.signal(instance, number)


async def ask_until_answered(gateway: Asker, account_id: str) -> str:
    """The session that was opened, or nothing; asked again under the same id as gateways do."""
    request_id = secrets.token_hex(16)
    question = OpenSession(
        session_id=str(uuid7(system_clock(), secrets.token_bytes(10))),
        account_id=account_id,
        account_version=1,
        profile_id="profile-1",
        content_id="tears",
        device=Device(device_id=secrets.token_hex(4)),
        region="DE",
    )
    while True:
        try:
            answer: SessionOpened = await gateway.ask(
                LICENSE_REQUESTS,
                account_id,
                question,
                SessionOpened,
                deadline_ms=ANSWER_MS,
                request_id=request_id,
            )
        except NoAnswerError:
            continue
        except RefusedError as error:
            if error.refused.reason != "concurrent-streams":
                raise
            return ""
        assert answer.session_id == question.session_id
        return answer.session_id


async def race(house: House, gateways: tuple[Asker, Asker], account_id: str) -> list[str]:
    only_one = Subscription(plan="basic", state="active", since_ms=0)
    await house.put_account(account_id, subscription=only_one)
    answers = await asyncio.gather(*(ask_until_answered(g, account_id) for g in gateways))
    return [session_id for session_id in answers if session_id]


async def counting_decisions(house: House) -> list[LicenseDecision]:
    """What counts of the log, for whoever reads it from its beginning."""
    chain, found = Chain(), list[LicenseDecision]()

    def take(record: Record[LicenseDecision | None]) -> None:
        assert record.value is not None
        if chain.follow(record.value, record.partition, record.offset) is not Standing.VOID:
            found.append(record.value)

    view: View[LicenseDecision] = View(
        house.broker,
        LICENSE_DECISIONS,
        clock=system_clock,
        state_key=house.keys.state_key(),
        keep=False,
        on_record=take,
    )
    await view.start()
    await view.stop()
    assert view.skipped == 0
    assert chain.broken_count == 0
    return found


@pytest.mark.timeout(900)
@pytest.mark.parametrize("races", [300, pytest.param(1_000, marks=pytest.mark.long)])
async def test_the_last_stream_is_given_once_in_every_race(
    broker: Broker, tmp_path: Path, races: int
) -> None:
    async with a_house(broker, tmp_path) as house:
        await house.put_title(a_title())
        other = house.another_gateway()
        await other.start()
        async with working(house) as workers:
            disturbing = asyncio.create_task(disturb(workers))
            room = asyncio.Semaphore(AT_ONCE)

            async def run(number: int) -> list[str]:
                async with room:
                    return await race(house, (house.gateway, other), f"account-{number}")

            try:
                winners = await asyncio.gather(*(run(number) for number in range(races)))
            finally:
                disturbing.cancel()
        await other.stop()
        assert Counter(map(len, winners)) == {1: races}
        granted = [
            decision.session_id
            for decision in await counting_decisions(house)
            if decision.action == "open" and decision.outcome == "granted"
        ]
        assert sorted(granted) == sorted(session_id for (session_id,) in winners)
        print(f"workers that ended: {dict(workers.halted)}")
