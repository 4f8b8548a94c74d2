"""A running deployment is given more partitions while clients post, and the command is killed."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiokafka import TopicPartition

from infra.operations.growing import WRITING_S_MAX, GrowthRefusedError, grow
from infra.operations.log_access import reading
from infra.operations.operator import operator_token
from infra.sandbox import Sandbox, running_sandbox
from infra.stack import environment_of
from infra.wiring.parts import GATEWAY_DELIVERY_TIMEOUT_MS
from schemas import codec
from schemas.ids import uuid7
from streams.broker import Broker
from streams.clock import system_clock
from streams.partitions import GROWING, count_partitions
from streams.producer import partition_of
from streams.topic import Topic
from streams.topics import PLAYBACK_EVENTS
from tests.integration.broker import runtime_folder
from tests.integration.commands import Operator, eventually
from tests.unit.gateway.wire_events import an_event, bearer

pytestmark = pytest.mark.timeout(400)
COMPONENTS = (
    *("kafka", "clickhouse", "migrations"),
    *("analytics", "fold", "bitrate", "steering", "gateway"),
)
VIEWERS = 24
PER_POST = 4
WANTED = 16
REFUSED_S_MAX = 30.0
BEFORE: dict[str, int] = {}
"""Events by session that the first test has posted."""
MIGRATE = ("topics", "migrate", PLAYBACK_EVENTS.name, "--partitions", str(WANTED))


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    home = tmp_path_factory.mktemp("growing") / "home"
    async with running_sandbox(home, only=COMPONENTS, runtime=runtime_folder()) as running:
        yield running


@pytest.fixture(scope="module")
def operator(sandbox: Sandbox) -> Operator:
    return Operator(sandbox)


async def test_an_agent_that_stands_still_keeps_everything_as_it_was(
    operator: Operator, sandbox: Sandbox
) -> None:
    token = operator_token(operator.deployment, "ingest", subject="test", lifetime_s=3_600)
    broker, fold = operator.deployment.broker(), sandbox.pid_of("fold")
    async with aiohttp.ClientSession(
        operator.deployment.gateway_url(), headers=bearer(token)
    ) as http:
        viewer = Viewer(http)
        await viewer.post()
        os.kill(fold, signal.SIGSTOP)
        try:
            await viewer.post()
            with pytest.raises(GrowthRefusedError, match=r"by fold \(\d+ records\)"):
                # Not as a command: a process of its own may take too long to find fold alive.
                await grow(
                    operator.deployment,
                    PLAYBACK_EVENTS,
                    WANTED,
                    dry_run=False,
                    drain_s_max=6,
                    on_step=lambda _step, _left: None,
                )
        finally:
            os.kill(fold, signal.SIGCONT)
        assert await count_partitions(broker, PLAYBACK_EVENTS) == PLAYBACK_EVENTS.partitions
        await viewer.post()
        BEFORE[viewer.session_id] = viewer.acknowledged


@dataclass
class Viewer:
    """One session: what it posts is sent again until it is taken, before the next is."""

    http: aiohttp.ClientSession
    session_id: str = field(
        default_factory=lambda: str(uuid7(system_clock(), secrets.token_bytes(10)))
    )
    acknowledged: int = 0
    """Events, and the next one's number."""
    refusals: list[tuple[float, str]] = field(default_factory=list)
    """When, and what the gateway said of it."""
    disconnected: int = 0
    """Posts without an answer."""
    doubtful: set[int] = field(default_factory=set)
    """Events sent again because the answer was that they may be in the log: twice there, by P1."""
    waits_s: list[float] = field(default_factory=list)

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            await self.post()
            await asyncio.sleep(0.1)

    async def post(self) -> None:
        begun_s = time.monotonic()
        numbers = range(self.acknowledged, self.acknowledged + PER_POST)
        batch = [self._event(number) for number in numbers]
        while True:
            try:
                if await self._is_taken(batch):
                    break
            except aiohttp.ClientConnectionError:  # no answer: it may be in the log, too
                self.disconnected += 1
                self.doubtful.update(event["sequence"] for event in batch)
            await asyncio.sleep(0.2)
        self.acknowledged += PER_POST
        self.waits_s.append(time.monotonic() - begun_s)

    def _event(self, number: int) -> dict[str, Any]:
        kind = {"type": "bandwidth", "measured_throughput_kbps": 4000, "from_ms": None}
        changes = {**kind, "to_ms": None} if number % PER_POST == 3 else {}
        return an_event(self.session_id, sequence=number, **changes)

    async def _is_taken(self, batch: list[dict[str, Any]]) -> bool:
        async with self.http.post("/v1/events", json=batch) as answer:
            if answer.status == 202:
                return True
            said = await answer.json(content_type=None)
            assert answer.status == 503, said
            assert int(answer.headers["Retry-After"]) > 0
            self.refusals.append((time.monotonic(), said["outcome"]))
            if said["outcome"] == "unknown":
                self.doubtful.update(event["sequence"] for event in batch)
            return False


async def test_growing_loses_doubles_and_reorders_nothing(operator: Operator) -> None:
    planned = (await operator.done(*MIGRATE, "--dry-run", "--json")).json
    assert {each["partitions"] for each in planned["topics"]} == {8}
    token = operator_token(operator.deployment, "ingest", subject="test", lifetime_s=3_600)
    stopping = asyncio.Event()
    async with aiohttp.ClientSession(
        operator.deployment.gateway_url(), headers=bearer(token)
    ) as http:
        viewers = [Viewer(http) for _ in range(VIEWERS)]
        posting = [asyncio.create_task(viewer.run(stopping)) for viewer in viewers]
        await eventually(_all_have(viewers, 20))
        await _killed_once(operator, lambda: any(v.refusals for v in viewers))
        assert "topics" in await _wrong(operator)
        broker = operator.deployment.broker()
        await _killed_once(operator, lambda: True, partitions=WANTED)
        done = (await operator.done(*MIGRATE, "--json")).json
        opened_at_ms = system_clock()
        assert done["refused_ms"] < REFUSED_S_MAX * 1000
        late = [Viewer(http) for _ in range(VIEWERS)]
        posting += [asyncio.create_task(viewer.run(stopping)) for viewer in late]
        reached = [viewer.acknowledged + 20 for viewer in viewers]
        await eventually(_all_have(viewers + late, max(reached)), 150)
        stopping.set()
        await asyncio.gather(*posting)
    assert await count_partitions(broker, PLAYBACK_EVENTS) == WANTED
    _report(viewers, done)
    expected = BEFORE | {viewer.session_id: viewer.acknowledged for viewer in viewers + late}
    doubtful = {viewer.session_id: viewer.doubtful for viewer in viewers + late}
    await _assert_log(operator, expected, doubtful, opened_at_ms)
    await _assert_store(operator, expected)
    again = (await operator.done(*MIGRATE, "--json")).json
    assert again["refused_ms"] is None
    replayed = (await operator.done("replay", PLAYBACK_EVENTS.name, "--dry-run", "--json")).json
    assert (replayed["added"], replayed["unreadable"]) == (0, 0)
    assert "topics" not in await _wrong(operator)


def _all_have(viewers: list[Viewer], events: int) -> Any:
    async def have() -> bool:
        return all(viewer.acknowledged >= events for viewer in viewers)

    return have


async def _killed_once(operator: Operator, is_time: Any, partitions: int = 0) -> None:
    """Begin the migration, and kill -9 it at the moment that is meant."""
    broker = operator.deployment.broker()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "infra.cli", *MIGRATE),
        env=environment_of(operator.deployment.settings),
        stdout=asyncio.subprocess.DEVNULL,
    )

    async def is_now() -> bool:
        assert process.returncode is None, "it was done before it could be killed"
        is_there = not partitions or await count_partitions(broker, PLAYBACK_EVENTS) == partitions
        return is_there and is_time()

    await eventually(is_now)
    process.send_signal(signal.SIGKILL)
    await process.wait()


async def _wrong(operator: Operator) -> set[str]:
    findings = (await operator.run("doctor", "--json")).json
    return {finding["check"] for finding in findings if not finding["is_ok"]}


def _report(viewers: list[Viewer], done: dict[str, Any]) -> None:
    refusals = [refusal for viewer in viewers for refusal in viewer.refusals]
    outcomes: dict[str, int] = defaultdict(int)
    for _, outcome in refusals:
        outcomes[outcome] += 1
    print(
        f"closed for {done['refused_ms']} ms by the last command;"
        f" longest wait {max(max(viewer.waits_s) for viewer in viewers):.1f} s;"
        f" 503: {dict(outcomes)}; no answer: {sum(viewer.disconnected for viewer in viewers)};"
        f" {sum(viewer.acknowledged for viewer in viewers)} events"
    )


async def _assert_log(
    operator: Operator,
    expected: dict[str, int],
    doubtful: dict[str, set[int]],
    opened_at_ms: int,
) -> None:
    """Every event, in order, and in its place, also where a session has moved to another.

    Once, but for those whose first answer left open whether they are there.
    """
    broker = operator.deployment.broker()
    moved = 0
    found: dict[str, set[int]] = defaultdict(set)
    for topic in GROWING:
        for session_id, rows in (await _records_of(broker, topic)).items():
            partitions = {partition for _, partition, _, _ in rows}
            moved += len(partitions) > 1
            place = partition_of(session_id, WANTED)
            assert all(at == place for ms, at, _, _ in rows if ms > opened_at_ms), "a stale writer"
            sequences = [sequence for _, _, _, sequence in sorted(rows)]
            first = list(dict.fromkeys(sequences))
            assert first == sorted(first), (topic.name, session_id)
            twice = {number for number, times in Counter(sequences).items() if times > 1}
            assert twice <= doubtful.get(session_id, set()), (topic.name, session_id)
            found[session_id] |= set(sequences)
    assert found == {session_id: set(range(count)) for session_id, count in expected.items()}
    assert moved > VIEWERS / 4, "no session has moved: nothing was tested"


async def _records_of(broker: Broker, topic: Topic) -> dict[str, list[tuple[int, int, int, int]]]:
    """By session: when, partition, offset and sequence number of each record."""
    records: dict[str, list[tuple[int, int, int, int]]] = defaultdict(list)
    decoder: codec.Decoder[Any] = codec.Decoder(topic.value)
    async with reading(broker) as consumer:
        count = await count_partitions(broker, topic)
        places = [TopicPartition(broker.physical(topic.name), n) for n in range(count)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        for place in places:
            while await consumer.position(place) < ends[place]:
                for rows in (await consumer.getmany(place, timeout_ms=500)).values():
                    for row in rows:
                        sequence = decoder.decode(row.value).sequence
                        at = (row.timestamp, row.partition, row.offset, sequence)
                        records[row.key.decode()].append(at)
    return records


async def _assert_store(operator: Operator, expected: dict[str, int]) -> None:
    """The raw table too: roll-ups count what is inserted, whatever a view hides."""
    total = sum(expected.values())

    async def is_stored() -> bool:
        return int((await operator.rows("SELECT count() FROM events"))[0][0]) >= total

    await eventually(is_stored)
    for table in ("events", "events_raw"):
        rows = await operator.rows(
            "SELECT toString(session_id), groupArray((kafka_time, kafka_partition, kafka_offset,"  # noqa: S608 - names of ours
            f" sequence)) FROM {table} GROUP BY session_id, topic"
        )
        stored: dict[str, list[int]] = defaultdict(list)
        for session_id, places in rows:
            sequences = [place[3] for place in sorted(places)]
            assert sequences == sorted(sequences), (table, session_id)
            stored[session_id] += sequences
        assert {session_id: sorted(numbers) for session_id, numbers in stored.items()} == {
            session_id: list(range(count)) for session_id, count in expected.items()
        }

    async def is_folded() -> bool:
        rows = await operator.rows("SELECT toString(session_id), event_count FROM sessions")
        return sorted(rows) == sorted(expected.items())

    await eventually(is_folded)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("no.such.v1", "--partitions", "16"), 2, "is not a topic"),
        ((PLAYBACK_EVENTS.name, "--partitions", "4"), 1, "takes none away"),
        ((PLAYBACK_EVENTS.name, "--partitions", "0"), 2, "not in the range"),
        (("gateway.replies.v1", "--partitions", "32"), 1, "name the partition"),
        (("sessions.v1", "--partitions", "16"), 1, "keeps its 8 partitions"),
        (("catalog.titles.v1", "--partitions", "2"), 1, "one order"),
        (("accounts.v1", "--partitions", "16"), 1, "old value"),
    ],
)
async def test_what_cannot_be_is_refused(
    operator: Operator, arguments: tuple[str, ...], code: int, says: str
) -> None:
    said = await operator.run("topics", "migrate", *arguments)
    assert said.code == code
    assert says in said.err


def test_it_waits_longer_than_a_gateway_tries() -> None:
    assert WRITING_S_MAX * 1000 >= GATEWAY_DELIVERY_TIMEOUT_MS
