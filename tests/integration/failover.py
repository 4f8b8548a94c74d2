"""Three brokers under load, killed one after the other: what was acknowledged, and how late.

`python -m tests.integration.failover --rounds 5` goes on for longer than the test does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from infra.kafka.launch import broker_names
from infra.kafka.readiness import wait_brokers
from infra.sandbox import Sandbox, running_components, share_runtime
from infra.settings import Settings
from infra.stack import with_ports
from infra.wiring.parts import GATEWAY_DELIVERY_TIMEOUT_MS
from streams.broker import Broker
from streams.producer import Publisher, UnavailableError
from streams.topics import PLAYBACK_EVENTS
from tests.integration.broker import runtime_folder

WRITERS = 40
PAUSE_S = 0.02
BROKERS: Final = 3
QUIET_S = 3.0
WHOLE_S_MAX = 60.0
TOPIC = PLAYBACK_EVENTS


class Cluster:
    """Three brokers as `playhead run` starts them, and starts each again that dies."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.broker = sandbox.deployment.broker()

    async def kill(self, number: int) -> None:
        """kill -9 one; return when it is back and every replica is in sync."""
        pid = self._sandbox.kill(broker_names(BROKERS)[number])
        await self._sandbox.wait_ready(not_pid=pid)
        await wait_brokers(self.broker.bootstrap, BROKERS)
        await self.wait_whole()

    async def wait_whole(self) -> None:
        """Return when every replica is in sync."""
        admin = AIOKafkaAdminClient(**self.broker.client_options())
        await admin.start()
        try:
            async with asyncio.timeout(WHOLE_S_MAX):
                while not await _is_whole(admin):  # noqa: ASYNC110 - brokers, not this process
                    await asyncio.sleep(0.1)
        finally:
            await admin.close()

    def controller(self) -> int:
        """The index of the active controller: clients are told of any broker in its place."""
        kafka = self._sandbox.deployment.home / "kafka"
        states = [
            json.loads(file.read_bytes())
            for file in kafka.glob("broker-*/data/__cluster_metadata-0/quorum-state")
        ]
        known = [state for state in states if state["leaderId"] > 0]
        return int(max(known, key=lambda state: state["leaderEpoch"])["leaderId"]) - 1


async def _is_whole(admin: AIOKafkaAdminClient) -> bool:
    partitions = [p for topic in await admin.describe_topics() for p in topic["partitions"]]
    return bool(partitions) and all(len(p["isr"]) == BROKERS for p in partitions)


@asynccontextmanager
async def running_cluster(home: Path) -> AsyncIterator[Cluster]:
    """Three ready brokers with every topic on all of them."""
    share_runtime(home, runtime_folder())
    settings = with_ports(
        Settings(home=str(home), kafka_port=0, kafka_brokers=BROKERS, demo=False, canary=False)
    )
    async with running_components(settings, only=broker_names(BROKERS)) as sandbox:
        cluster = Cluster(sandbox)
        await cluster.wait_whole()
        yield cluster


@dataclass
class Load:
    """Writers that each send one record after the other, again until it is acknowledged."""

    publisher: Publisher
    acknowledged: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    waits: list[tuple[float, float]] = field(default_factory=list)
    """When each record was first sent, and how long until its acknowledgment, seconds."""
    retries: int = 0

    async def run(self, stopping: asyncio.Event) -> None:
        await asyncio.gather(*(self._write(f"session-{n}", stopping) for n in range(WRITERS)))

    async def _write(self, key: str, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            begun_s = time.monotonic()
            value = str(self.acknowledged[key]).encode()
            while True:
                try:
                    await self.publisher.publish_many(TOPIC, [(key, value)])
                except UnavailableError:
                    self.retries += 1
                    await asyncio.sleep(0.05)
                else:
                    break
            self.acknowledged[key] += 1
            self.waits.append((begun_s, time.monotonic() - begun_s))
            await asyncio.sleep(PAUSE_S)

    def longest_since(self, since_s: float) -> float:
        """The longest wait of what was sent after the moment, or waited at it."""
        return max(wait for begun, wait in self.waits if begun + wait >= since_s)


@dataclass(frozen=True)
class Death:
    """One broker's."""

    number: int
    was_controller: bool
    longest_wait_s: float


@dataclass(frozen=True)
class Outcome:
    """Of a whole run."""

    deaths: tuple[Death, ...]
    acknowledged: int
    lost: int
    doubled: int
    disordered: int
    retries: int
    quiet_wait_s: float
    """The longest wait before anybody was killed."""


async def fail_over(cluster: Cluster, rounds: int) -> Outcome:
    """Kill each broker once a round, beginning with the active controller."""
    publisher = Publisher(
        cluster.broker, client_id="load", delivery_timeout_ms=GATEWAY_DELIVERY_TIMEOUT_MS
    )
    await publisher.start()
    load, stopping = Load(publisher), asyncio.Event()
    writing = asyncio.create_task(load.run(stopping))
    deaths = []
    try:
        while len(load.acknowledged) < WRITERS:  # noqa: ASYNC110 - brokers, not this process
            await asyncio.sleep(PAUSE_S)
        begun_s = time.monotonic()
        await asyncio.sleep(QUIET_S)  # a load without a fault, to compare with
        quiet_wait_s = max(wait for begun, wait in load.waits if begun > begun_s)
        for _ in range(rounds):
            first = cluster.controller()
            for number in (first, (first + 1) % BROKERS, (first + 2) % BROKERS):
                deaths.append(await _kill_one(cluster, load, number))
                print(datetime.now(UTC).isoformat(timespec="milliseconds"), deaths[-1], flush=True)
        stopping.set()
        await writing
    finally:
        writing.cancel()
        await publisher.stop()
    lost, doubled, disordered = await _compare(cluster.broker, load.acknowledged)
    return Outcome(
        deaths=tuple(deaths),
        acknowledged=sum(load.acknowledged.values()),
        lost=lost,
        doubled=doubled,
        disordered=disordered,
        retries=load.retries,
        quiet_wait_s=quiet_wait_s,
    )


async def _kill_one(cluster: Cluster, load: Load, number: int) -> Death:
    """Until it is back and every replica is in sync again."""
    was_controller = cluster.controller() == number
    print(datetime.now(UTC).isoformat(timespec="milliseconds"), "kill", number, flush=True)
    killed_at_s = time.monotonic()
    await cluster.kill(number)
    await asyncio.sleep(PAUSE_S * 10)
    return Death(number, was_controller, load.longest_since(killed_at_s))


async def _compare(broker: Broker, acknowledged: dict[str, int]) -> tuple[int, int, int]:
    """Of the log: what is missing, what is there twice, and keys out of their order."""
    found = await _read_all(broker)
    lost = sum(len(set(range(count)) - set(found[key])) for key, count in acknowledged.items())
    doubled = sum(len(values) - len(set(values)) for values in found.values())
    firsts = {key: list(dict.fromkeys(values)) for key, values in found.items()}
    return lost, doubled, sum(values != sorted(values) for values in firsts.values())


async def _read_all(broker: Broker) -> dict[str, list[int]]:
    consumer = AIOKafkaConsumer(
        **broker.client_options(), group_id=None, auto_offset_reset="earliest"
    )
    await consumer.start()
    found: dict[str, list[int]] = defaultdict(list)
    try:
        places = [TopicPartition(TOPIC.name, number) for number in range(TOPIC.partitions)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        for place in places:
            while await consumer.position(place) < ends[place]:
                for rows in (await consumer.getmany(place, timeout_ms=500)).values():
                    for row in rows:
                        found[row.key.decode()].append(int(row.value))
    finally:
        await consumer.stop()
    return found


async def _main(rounds: int, home: Path | None) -> None:
    with tempfile.TemporaryDirectory(prefix="failover-") as folder:
        async with running_cluster(home or Path(folder)) as cluster:
            print(await fail_over(cluster, rounds))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--home", type=Path, help="kept afterwards, with the brokers' logs")
    given = parser.parse_args()
    asyncio.run(_main(given.rounds, given.home))
