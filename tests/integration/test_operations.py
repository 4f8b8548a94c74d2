"""What operators must be able to trust: replays under kills and load, shadows, swaps, redrives."""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from infra.clickhouse.client import open_client, parse_url
from infra.faults.questions import WRONG_AGGREGATES
from infra.operations.replay_jobs import ReplayCommand, ReplayJobs
from infra.operations.replay_replace import closed_tables
from infra.stack import environment_of
from schemas import codec
from schemas.errors import InvalidMessageError
from schemas.events import Heartbeat, Stamp
from schemas.ids import uuid7
from streams.clock import system_clock
from streams.dead_letters import publish_dead_letter
from streams.producer import Publisher
from streams.topic import Topic
from streams.topics import BY_NAME, PLAYBACK_EVENTS
from tests.integration.commands import Operator, eventually
from tests.unit.cli.letters import Raw

TOPIC = PLAYBACK_EVENTS.name
SESSIONS, EVENTS_EACH, MISSING_EACH = 200, 100, 40
AT = datetime.now(UTC)
OURS, LATE = "operations", "operations-late"


def a_heartbeat(session_id: str, sequence: int, source: str = OURS) -> Heartbeat:
    now_ms = system_clock()
    return Heartbeat(
        session_id=session_id,
        id=str(uuid7(now_ms, secrets.token_bytes(10))),
        source=source,
        sequence=sequence,
        at=AT,
        stamp=Stamp(received_at_ms=now_ms, via="ingest"),
    )


async def publish(operator: Operator, sessions: list[str], each: int, source: str = OURS) -> None:
    publisher = Publisher(operator.deployment.broker(), client_id="test")
    await publisher.start()
    try:
        for session in sessions:
            events = [a_heartbeat(session, number, source) for number in range(each)]
            rows = [(session, codec.encode(event)) for event in events]
            await publisher.publish_many(PLAYBACK_EVENTS, rows)
    finally:
        await publisher.stop()


def new_sessions(count: int) -> list[str]:
    return [str(uuid7(system_clock(), secrets.token_bytes(10))) for _ in range(count)]


async def count(operator: Operator, where: str = f"source = '{OURS}'") -> int:
    ((number,),) = await operator.rows(f"SELECT count() FROM events WHERE {where}")  # noqa: S608 - ours
    assert isinstance(number, int)
    return number


async def execute(operator: Operator, statement: str) -> None:
    client = open_client(parse_url(operator.deployment.clickhouse_url()))
    await asyncio.to_thread(client.command, statement)


@pytest.fixture(scope="module")
async def stored(operator: Operator) -> int:
    """So many events, stored."""
    await publish(operator, new_sessions(SESSIONS), EVENTS_EACH)

    async def are_stored() -> bool:
        return await count(operator) == SESSIONS * EVENTS_EACH

    await eventually(are_stored, timeout_s=120)
    return SESSIONS * EVENTS_EACH


@pytest.mark.timeout(400)
async def test_a_replay_goes_on_after_kill_9_and_counts_each_added_row_once(
    operator: Operator, stored: int
) -> None:
    gone = f"DELETE FROM events_raw WHERE source = '{OURS}' AND sequence < {MISSING_EACH}"  # noqa: S608 - ours
    await execute(operator, gone)
    missing = SESSIONS * MISSING_EACH
    assert await count(operator) == stored - missing
    words = ("replay", TOPIC, "--from", "1d", "--rate", "2000", "--json")
    jobs = ReplayJobs(operator.deployment.home)
    command = ReplayCommand(topic=TOPIC, start="1d")
    kills = 0
    while kills < 3:
        reached = _added(jobs, command)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "infra.cli", *words),
            env=environment_of(operator.deployment.settings),
            stdout=asyncio.subprocess.DEVNULL,
        )

        async def goes_on(before: int = reached) -> bool:
            return _added(jobs, command) > before

        await eventually(goes_on)
        process.kill()
        await process.wait()
        kills += 1
    jobs_listed = (await operator.done("replay", "--list", "--json")).json
    (listed,) = [job for job in jobs_listed if job["state"] == "stopped"]
    assert listed["topic"] == TOPIC
    assert 0 < listed["done"] < listed["of"]
    done = (await operator.done(*words)).json
    assert (done["added"], done["read"]) == (missing, done["total"])
    assert await count(operator) == stored
    assert await count(operator, "1") == await _identities(operator)


def _added(jobs: ReplayJobs, command: ReplayCommand) -> int:
    job = jobs.unfinished(command)
    return job.state.progress.added if job is not None else 0


async def _identities(operator: Operator) -> int:
    ((number,),) = await operator.rows(
        "SELECT uniqExact(session_id, source, sequence) FROM events_raw"
    )
    assert isinstance(number, int)
    return number


async def test_a_slow_replay_keeps_its_rate(operator: Operator, stored: int) -> None:
    begun_s = time.monotonic()
    done = (await operator.done("replay", TOPIC, "--rate", "4000", "--again", "--json")).json
    assert done["added"] == 0
    assert (time.monotonic() - begun_s) >= done["read"] / 4000
    assert done["read"] >= stored


@pytest.mark.timeout(400)
async def test_a_period_is_built_anew_and_swapped_while_events_come(
    operator: Operator, stored: int
) -> None:
    """Wrong rows are replaced by what the log says; nothing that came meanwhile is lost."""
    ours = f"SELECT * FROM events_raw WHERE source = '{OURS}' AND sequence = 8"  # noqa: S608 - ours
    invented = f"SELECT * REPLACE ('operations-invented' AS source) FROM ({ours})"  # noqa: S608 - ours
    await execute(operator, f"INSERT INTO events_raw {invented}")
    wrong = f"source = '{OURS}' AND sequence = 7"
    await execute(operator, f"ALTER TABLE events_raw UPDATE player = 'wrong' WHERE {wrong}")

    async def is_wrong() -> bool:
        return await count(operator, "player = 'wrong'") == SESSIONS

    await eventually(is_wrong)
    day = AT.strftime("%Y-%m-%d")
    words = ("replay", TOPIC, "--replace", day, "--rate", "0", "--json")
    dry = (await operator.done(*words, "--dry-run")).json
    assert (dry["before"], dry["is_swapped"]) == (dry["after"] + SESSIONS, False)
    assert await count(operator, "player = 'wrong'") == SESSIONS
    assert "--allow-fewer" in (await operator.run(*words)).err
    late = new_sessions(30)
    coming = asyncio.create_task(_trickle(operator, late))
    done = (await operator.done(*words, "--allow-fewer")).json
    await coming
    assert done["is_swapped"]
    assert await count(operator, "player = 'wrong'") == 0

    async def is_all_there() -> bool:
        return await count(operator, f"source = '{LATE}'") == len(late)

    await eventually(is_all_there)
    assert await count(operator) == stored
    await _assert_rollups(operator)
    databases = await operator.rows(
        "SELECT count() FROM system.databases WHERE name LIKE '%replay%'"
    )
    assert databases == [(0,)]


async def _assert_rollups(operator: Operator) -> None:
    for name, query in WRONG_AGGREGATES.items():
        assert await operator.rows(query) == [], name


@pytest.mark.timeout(400)
async def test_a_swap_that_was_killed_is_told_and_done_by_the_same_command(
    operator: Operator, stored: int
) -> None:
    """Storing waits meanwhile: a table is closed only for that."""
    words = ("replay", TOPIC, "--replace", AT.strftime("%Y-%m-%d"), "--rate", "0", "--json")
    address = parse_url(operator.deployment.clickhouse_url())
    client = open_client(address)
    while not await asyncio.to_thread(closed_tables, client, address.database):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "infra.cli", *words),
            env=environment_of(operator.deployment.settings),
            stdout=asyncio.subprocess.DEVNULL,
        )
        while process.returncode is None:
            if await asyncio.to_thread(closed_tables, client, address.database):
                process.kill()
                await process.wait()
    findings = (await operator.run("doctor", "--json")).json
    assert "tables" in {each["check"] for each in findings if not each["is_ok"]}
    late = new_sessions(5)
    await publish(operator, late, 1, "operations-waiting")
    done = (await operator.done(*words)).json
    assert done["is_swapped"]
    assert done["closed_ms"] > 0

    async def is_all_there() -> bool:
        return await count(operator, "source = 'operations-waiting'") == len(late)

    await eventually(is_all_there)
    assert await count(operator) == stored
    await _assert_rollups(operator)
    assert await asyncio.to_thread(closed_tables, client, address.database) == []


async def _trickle(operator: Operator, sessions: list[str]) -> None:
    for session in sessions:
        await publish(operator, [session], 1, LATE)
        await asyncio.sleep(0.05)


async def test_a_swap_that_would_lose_rows_is_refused(operator: Operator) -> None:
    before = await count(operator)
    words = ("replay", TOPIC, "--replace", AT.strftime("%Y-%m-%d"), "--to", "2015-01-01", "--json")
    assert (await operator.done(*words)).json["is_swapped"]  # an empty window takes all over
    assert await count(operator) == before
    assert (await operator.run("replay", TOPIC, "--replace", "yesterday")).code == 1


@pytest.mark.timeout(400)
async def test_a_shadow_decides_as_it_was_decided_and_issues_nothing(operator: Operator) -> None:
    run = ("simulate", "--viewers", "3", "--rate", "3", "--minutes", "0.1", "--json")
    report = (await operator.done(*run)).json
    assert report["licenses"] > 0
    before = await _ends(operator)
    assert before["license.decisions.v1"] > 0
    words = ("replay", "license.requests.v1", "--to-group", "license", "--json")
    dry = (await operator.done(*words, "--dry-run")).json
    assert dry["topic"] == ""
    shadow = (await operator.done(*words, "--warm-up")).json
    assert shadow["decided"] == shadow["agreed"] == dry["decided"] > 0
    assert (shadow["differed"], shadow["unrecorded"], shadow["unreadable"]) == (0, 0, 0)
    after = await _ends(operator)
    assert after.pop("license.decisions.v1.shadow") == shadow["decided"]
    issued = ("license.decisions.v1", "sessions.v1", "session.control.v1", "gateway.replies.v1")
    assert {name: after[name] for name in issued} == {name: before[name] for name in issued}


async def _ends(operator: Operator) -> dict[str, int]:
    """Records that were ever written, by topic."""
    consumer = AIOKafkaConsumer(**operator.deployment.broker().client_options(), group_id=None)
    await consumer.start()
    try:
        found: dict[str, int] = {}
        for name in await consumer.topics():
            topic = BY_NAME.get(name.removesuffix(".shadow"))
            if topic is not None:
                places = [TopicPartition(name, number) for number in range(topic.partitions)]
                found[name] = sum((await consumer.end_offsets(places)).values())
        return found
    finally:
        await consumer.stop()


@pytest.mark.timeout(400)
async def test_driving_back_stops_where_letters_come_back(operator: Operator) -> None:
    """Records that the fold cannot take: a few are tried, the rest stays where it is."""
    reason = f"test-{secrets.token_hex(4)}"
    sessions = [f"no-session-{number:029}" for number in range(12)]
    for number, session in enumerate(sessions):
        event = a_heartbeat(session[:36], 0)
        await _bury(operator, PLAYBACK_EVENTS, event, reason, 1 << 40 | number)
    only = ("--topic", TOPIC, "--reason", reason)
    said = await operator.run("dead-letters", "redrive", *only, "--json")
    outcomes = [line["what"] for line in said.json]
    back = [what for what in outcomes if what.startswith("came back")]
    assert said.code == 1, said
    assert "stopped with" in said.err
    assert len(back) > 0
    assert outcomes.count("stays: it was stopped before") == len(sessions) - 5
    left = (await operator.done("dead-letters", "list", *only, "--json")).json
    assert sum(group["letters"] for group in left) == len(sessions) - 5
    await operator.done("dead-letters", "drop", "--topic", TOPIC, "--json")


async def _bury(
    operator: Operator, topic: Topic, event: Heartbeat, reason: str, offset: int
) -> None:
    publisher = Publisher(operator.deployment.broker(), client_id="test")
    await publisher.start()
    try:
        raw = Raw(
            key=event.session_id.encode(), value=codec.encode(event), partition=1, offset=offset
        )
        error = InvalidMessageError(reason, "said the test")
        now_ms = system_clock()
        await publish_dead_letter(publisher, topic, raw, error, failed_at_ms=now_ms, agent="test")
    finally:
        await publisher.stop()


async def test_the_console_runs_nothing_that_it_did_not_show(operator: Operator) -> None:
    token = (await operator.done("admin", "token", "create", "--role", "operator")).out.strip()
    other = (await operator.done("admin", "token", "create", "--role", "catalog")).out.strip()
    path = "/v1/admin/operations"
    asked: dict[str, Any] = {"operation": {"name": "replay", "topic": "sessions.v1"}}
    async with aiohttp.ClientSession(operator.deployment.gateway_url()) as http:

        async def post(body: dict[str, Any], bearer: str = token) -> tuple[int, dict[str, Any]]:
            headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
            async with http.post(path, json=body, headers=headers) as response:
                return response.status, await response.json(content_type=None)

        assert (await post(asked, ""))[0] == 401
        assert (await post(asked, other))[0] == 403
        assert (await post({**asked, "plan": "made-up"}))[0] == 409
        status, shown = await post(asked)
        assert (status, shown["exit_code"], shown["said"]["added"]) == (200, 0, 0)
        assert "--dry-run" in shown["command"]
        changed = {"operation": {**asked["operation"], "start": "1h"}, "plan": shown["plan"]}
        assert (await post(changed))[0] == 409
        _, shown = await post(asked)
        status, done = await post({**asked, "plan": shown["plan"]})
        assert (status, done["exit_code"] in {0, None}) == (200, True)
        assert "--dry-run" not in done["command"]
        headers = {"Authorization": f"Bearer {token}"}
        for report in ("lag", "letters", "ledger", "replays"):
            async with http.get(f"{path}/{report}", headers=headers) as response:
                assert response.status == 200
                assert (await response.json())["exit_code"] == 0
        async with http.get(f"{path}/no-such", headers=headers) as response:
            assert response.status == 404
