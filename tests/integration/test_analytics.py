"""The sink on a real broker and a real engine: every record once, whatever comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from agents.analytics.agent import AnalyticsAgent
from agents.analytics.sink import SinkLimits
from infra.worker import WorkerPlan, faust_app
from schemas import codec
from schemas.events import Bandwidth, Interaction, Play, Playing, Stopped
from schemas.watching import SessionSummary, Watch
from streams.broker import Broker
from streams.topics import PLAYBACK_EVENTS, SESSION_SUMMARIES, STEERING_DECISIONS, WATCHES
from tests.integration.analytics_stage import QUICK, Stage, a_session_id, a_stage, an_engine
from tests.integration.engine import RunningClickHouse
from tests.integration.playback import a_decision, an_event, play_session


@pytest.fixture(scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningClickHouse]:
    async with an_engine(tmp_path_factory.mktemp("engine")) as running:
        yield running


@pytest.fixture
async def stage(broker: Broker, engine: RunningClickHouse) -> AsyncIterator[Stage]:
    async with a_stage(broker, engine) as stage:
        yield stage


async def test_an_event_is_a_row_with_its_types_and_its_absences(stage: Stage) -> None:
    session = a_session_id()
    async with stage.sinking():
        await stage.send(
            an_event(Play, session, 0, playhead_ms=0),
            an_event(Bandwidth, session, 1, measured_throughput_kbps=2500, status=200),
            an_event(Interaction, session, 2, name="like", extra={"odd": {"a.b": [1, None]}}),
        )
        await stage.until("SELECT count() FROM events", 3)
    rows = await stage.ask(
        "SELECT type, playhead_ms, measured_throughput_kbps, status, name, extra, account_id,"
        " toUnixTimestamp64Milli(at) = toUnixTimestamp64Milli(received_at) - 20, topic"
        " FROM events ORDER BY sequence"
    )
    extra = '{"odd":{"a.b":[1,null]}}'
    assert rows == [
        ["play", 0, None, None, "", "", "account", True, "playback.events.v1"],
        ["bandwidth", None, 2500, 200, "", "", "account", True, "playback.bandwidth.v1"],
        ["interaction", None, None, None, "like", extra, "account", True, "playback.events.v1"],
    ]


async def test_a_re_send_is_no_row_and_another_payload_is_a_conflict(stage: Stage) -> None:
    session = a_session_id()
    first = an_event(Play, session, 0, playhead_ms=0)
    async with stage.sinking():
        await stage.send(first)
        await stage.until("SELECT count() FROM events", 1)
        stamp = first.stamp
        assert stamp is not None
        again = msgspec.structs.replace(
            first, id="another", stamp=msgspec.structs.replace(stamp, received_at_ms=1)
        )
        other = msgspec.structs.replace(first, playhead_ms=9)
        await stage.send(again, other, again, an_event(Stopped, session, 1))
        await stage.until("SELECT count() FROM events", 2)
        await stage.until("SELECT count() FROM conflicts", 1)
    assert await stage.one("SELECT playhead_ms FROM events WHERE type = 'play'") == 0
    assert await stage.one("SELECT count() FROM events_raw") == 2
    assert await stage.one("SELECT sum(rows_in) FROM events_by_minute") == 2
    assert await stage.one("SELECT countIf(kind = 'duplicate') FROM set_aside_raw") == 2
    payload = await stage.one("SELECT payload FROM conflicts")
    assert codec.Decoder[Play](Play).decode(payload.encode()).playhead_ms == 9


async def test_a_re_send_to_a_sink_that_was_restarted_is_no_row(stage: Stage) -> None:
    session = a_session_id()
    events = [an_event(Play, session, number) for number in range(50)]
    async with stage.sinking():
        await stage.send(*events)
        await stage.until("SELECT count() FROM events", 50)
    async with stage.sinking():
        await stage.send(*events, an_event(Stopped, session, 50))
        await stage.until("SELECT count() FROM events", 51)
    assert await stage.one("SELECT count() FROM events_raw") == 51


async def test_one_bad_record_goes_to_dead_letters_and_the_next_is_stored(stage: Stage) -> None:
    session = a_session_id()
    bad = [b"\xff\xfe", b"{}", b"[" * 100_000, b'{"type":"play"}']
    no_uuid = an_event(Play, "x" * 36, 0)
    async with stage.sinking():
        rows = [(session, value) for value in (*bad, codec.encode(no_uuid))]
        await stage.publisher.publish_many(PLAYBACK_EVENTS, rows)
        await stage.send(an_event(Play, session, 0))
        await stage.until("SELECT count() FROM events", 1)
        await stage.until("SELECT count() FROM dead_letters", 5)
    reasons = await stage.ask("SELECT reason, count() FROM dead_letters GROUP BY reason ORDER BY 1")
    assert dict(map(tuple, reasons)).keys() == {"not-json", "schema", "session-id", "too-deep"} or (
        dict(map(tuple, reasons)).keys() == {"not-json", "schema", "session-id"}
    )


async def test_a_type_of_a_newer_writer_is_stored_whole(stage: Stage) -> None:
    session = a_session_id()
    known = codec.encode(an_event(Play, session, 0, cdn="alpha"))
    newer = known.replace(b'"play"', b'"teleport"').replace(b'"cdn"', b'"to":{"x":1},"cdn"')
    async with stage.sinking():
        await stage.publisher.publish_many(PLAYBACK_EVENTS, [(session, newer), (session, newer)])
        await stage.until("SELECT count() FROM events", 1)
    rows = await stage.ask("SELECT type, cdn, extra, account_id FROM events")
    assert rows == [["teleport", "alpha", '{"to":{"x":1}}', "account"]]


async def test_decisions_are_stored_by_their_schema_and_repetitions_once(stage: Stage) -> None:
    watch = Watch(
        profile_id="p",
        account_id="a",
        content_id="c",
        session_id=a_session_id(),
        step="started",
        playhead_ms=1,
        completion_ratio=0.1,
        at_ms=1_790_000_000_123,
    )
    async with stage.sinking():
        first, second = a_decision(1), a_decision(2)
        for decision in (first, second, second):
            await stage.publisher.publish(STEERING_DECISIONS, "*", decision)
        await stage.publisher.publish(WATCHES, "p", watch)
        await stage.publisher.publish(WATCHES, "p", msgspec.structs.replace(watch, playhead_ms=2))
        await stage.until("SELECT count() FROM steering_decisions", 2)
        await stage.until("SELECT count() FROM decisions_raw WHERE topic = 'watches.v1'", 1)
    rows = await stage.ask(
        "SELECT type, key, profile_id, content_id, toUnixTimestamp64Milli(at),"
        " JSONExtractInt(payload, 'playhead_ms') FROM decisions_raw WHERE topic = 'watches.v1'"
    )
    assert rows == [["watch", "p", "p", "c", 1_790_000_000_123, 1]]


async def test_the_highest_version_of_a_session_counts_whatever_came_last(stage: Stage) -> None:
    def a_summary(version: int) -> SessionSummary:
        return SessionSummary(
            session_id=session,
            version=version,
            started_at_ms=1_790_000_000_000,
            last_event_at_ms=1_790_000_001_000,
            played_ms=version,
        )

    session = a_session_id()
    async with stage.sinking():
        for version in (1, 3, 2):
            await stage.publisher.publish(SESSION_SUMMARIES, session, a_summary(version))
        await stage.until("SELECT count() FROM sessions_raw", 3)
        await stage.until("SELECT played_ms FROM sessions", 3)
    assert await stage.one("SELECT count() FROM sessions") == 1


async def test_an_acknowledged_event_is_queryable_within_five_seconds(stage: Stage) -> None:
    loop = asyncio.get_running_loop()
    delays: list[float] = []
    async with stage.sinking(SinkLimits()):
        for number in range(8):
            session = a_session_id()
            await stage.send(*play_session(session))
            began = loop.time()
            await stage.until("SELECT uniqExact(session_id) FROM events", number + 1)
            delays.append(loop.time() - began)
            await asyncio.sleep(0.07 * number)
    assert max(delays) <= 5, delays


async def test_the_sink_says_until_when_everything_is_stored(stage: Stage) -> None:
    session = a_session_id()
    async with stage.sinking():
        await stage.send(an_event(Playing, session, 0))
        await stage.until("SELECT sum(stored) FROM ledger", 1)
        await stage.until(
            "SELECT count() FROM ingest_progress FINAL WHERE topic = 'playback.events.v1'"
            " AND complete_until > now() - INTERVAL 20 SECOND AND stored_offset = end_offset",
            PLAYBACK_EVENTS.partitions,
        )


async def test_the_worker_runs_the_sink_and_stops_with_it(stage: Stage, tmp_path: Path) -> None:
    agent = AnalyticsAgent(stage.ports(), stage.url, limits=QUICK, topics=stage.topics)
    app = faust_app(
        WorkerPlan(
            name="analytics",
            broker=stage.broker,
            data_folder=tmp_path / "faust",
            announce=tmp_path / "announce.json",
        )
    )
    await agent.start()
    agent.attach(app)
    await app.start()
    try:
        assert agent.sink.started
        await stage.send(an_event(Play, a_session_id(), 0))
        await stage.until("SELECT count() FROM events", 1)
    finally:
        await app.stop()
        await agent.stop()
    assert agent.sink.should_stop
    assert stage.halted == []


async def test_two_sinks_share_the_partitions_and_store_each_event_once(stage: Stage) -> None:
    sessions = [a_session_id() for _ in range(12)]

    async def send(first: int) -> None:
        for number in range(first, first + 10):
            await stage.send(*(an_event(Play, session, number) for session in sessions))

    async with stage.sinking():
        await send(0)
        async with stage.sinking(instance="2"):
            await send(10)
            await stage.until("SELECT count() FROM events_raw", 240)
        await send(20)
        await stage.until("SELECT count() FROM events_raw", 360)
        # A row can be asked for a moment before its materialized views have it.
        await stage.until("SELECT sum(rows_in) FROM events_by_minute", 360)
    assert await stage.one("SELECT count() FROM events_raw") == 360


async def test_every_materialized_view_is_what_the_raw_table_gives(stage: Stage) -> None:
    """Re-sends, conflicts, several sinks and late sessions included."""
    sessions = [a_session_id() for _ in range(6)]
    posts = [play_session(session) for session in sessions]
    async with stage.sinking():
        for post in (*posts, posts[0], posts[3]):
            await stage.send(*post)
        await stage.until("SELECT count() FROM events_raw", 54)
    async with stage.sinking(instance="2"):
        other = msgspec.structs.replace(posts[1][0], playhead_ms=77)
        await stage.send(*posts[1], *posts[5], other)
        await stage.send(an_event(Stopped, sessions[0], 9, reason="ended"))
        await stage.until("SELECT count() FROM events_raw", 55)
        await stage.until("SELECT count() FROM conflicts", 1)
        await stage.until("SELECT sum(rows_in) FROM events_by_minute", 55)
        await stage.until("SELECT sum(rows) FROM ingest_ledger", 55)
    views = await stage.ask(
        "SELECT name, as_select, splitByChar(' ', substring(create_table_query,"
        " position(create_table_query, ' TO ') + 4))[1] FROM system.tables"
        " WHERE database = currentDatabase() AND engine = 'MaterializedView' ORDER BY name"
    )
    assert {name for name, _, _ in views} >= {
        "events_by_minute_of_events",
        "ingest_ledger_of_events",
    }
    for name, select, target in views:
        expected, kept = (
            await _rolled_up(stage, f"({select})", target),
            await _rolled_up(stage, target, target),
        )
        assert kept == expected, name
        assert kept, name


async def _rolled_up(stage: Stage, source: str, target: str) -> list[list[object]]:
    """The rows of a roll-up, its states and sums merged; percentiles are estimates and left out."""
    table = target.rsplit(".", maxsplit=1)[-1].strip("`")
    described = "SELECT name, type, is_in_sorting_key, table FROM system.columns"
    columns = [
        (name, kind, is_key)
        for name, kind, is_key, of in await stage.ask(
            f"{described} WHERE database = currentDatabase() ORDER BY position"
        )
        if of == table
    ]
    keys = ", ".join(name for name, _, is_key in columns if is_key)
    merged = [
        f"uniqCombinedMerge(12)({name})"
        if kind.startswith("AggregateFunction")
        else f"{kind.partition('(')[2].partition(',')[0]}({name})"
        for name, kind, is_key in columns
        if not is_key and "quantiles" not in kind
    ]
    fields = ", ".join((keys, *merged))
    return await stage.ask(f"SELECT {fields} FROM {source} GROUP BY {keys} ORDER BY ALL")  # noqa: S608 - names of our own tables
