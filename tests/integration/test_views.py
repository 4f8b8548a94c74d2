"""The views that data engineers rely on, over data that came through the log."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agents.analytics.session import fold
from agents.analytics.store import Store, parse_store_url
from schemas.accounts import AccountEvent
from schemas.bitrate import BitrateDecision, BitrateFacts
from schemas.catalog import Title
from schemas.delivery import LedgerEntry
from schemas.licenses import DecisionFacts, LicenseDecision
from schemas.packaging import KeysDelivered
from schemas.recommendations import RecommendationRow, Recommendations, RecommendedTitle
from schemas.watching import SessionSummary
from streams.broker import Broker
from streams.clock import system_clock
from streams.topics import (
    ACCOUNT_EVENTS,
    BITRATE_DECISIONS,
    CATALOG_TITLES,
    GATEWAY_LEDGER,
    KEY_DELIVERIES,
    LICENSE_DECISIONS,
    PLAYBACK_BANDWIDTH,
    PLAYBACK_EVENTS,
    RECOMMENDATIONS_SERVED,
    SESSION_SUMMARIES,
    STEERING_DECISIONS,
    TITLE_FEEDBACK,
)
from tests.builders import some_feedback
from tests.integration.analytics_stage import Stage, a_session_id, a_stage, an_engine
from tests.integration.engine import RunningClickHouse
from tests.integration.playback import a_decision, play_session

README = Path(__file__).parents[2] / "infra" / "clickhouse" / "README.md"
TOPICS = (
    PLAYBACK_EVENTS,
    PLAYBACK_BANDWIDTH,
    SESSION_SUMMARIES,
    LICENSE_DECISIONS,
    BITRATE_DECISIONS,
    RECOMMENDATIONS_SERVED,
    STEERING_DECISIONS,
    CATALOG_TITLES,
    ACCOUNT_EVENTS,
    GATEWAY_LEDGER,
    KEY_DELIVERIES,
    TITLE_FEEDBACK,
)
VIEWS = [
    "events",
    "sessions",
    "license_decisions",
    "bitrate_decisions",
    "recommendations_served",
    "steering_decisions",
    "qoe_by_minute",
    "titles",
    "accounts_plans",
    "dead_letters",
    "conflicts",
    "ledger",
    "key_deliveries",
    "bitrate_effects",
    "experiment_results",
    "recommendation_quality",
    "title_feedback",
]
PERSONAL = {"session_id", "account_id", "profile_id", "network"}
DURATION_MS = 60_000


def questions() -> list[str]:
    return re.findall(r"^```sql\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningClickHouse]:
    async with an_engine(tmp_path_factory.mktemp("engine")) as running:
        yield running


@pytest.fixture(scope="module")
async def stage(kafka: Any, engine: RunningClickHouse) -> AsyncIterator[Stage]:
    """One viewer's evening, in the database."""
    broker = Broker(bootstrap=kafka.bootstrap, namespace="views")
    async with a_stage(broker, engine, topics=TOPICS) as stage:
        async with stage.sinking(topics=TOPICS):
            await an_evening(stage)
        yield stage


@pytest.fixture
async def reader(stage: Stage) -> AsyncIterator[Store]:
    """The user without a password, who may only read."""
    host = f"{stage.engine.host}:{stage.engine.port}"
    store = Store(parse_store_url(f"http://default@{host}/{stage.broker.namespace}"))
    await store.start()
    yield store
    await store.stop()


async def an_evening(stage: Stage) -> None:
    session, now_ms = a_session_id(), system_clock()
    events = play_session(session)
    summary = fold(events, DURATION_MS)
    assert summary is not None
    publish = stage.publisher.publish
    await stage.send(*events, *events[:2])
    await publish(SESSION_SUMMARIES, session, summary)
    await publish(KEY_DELIVERIES, "content", a_delivery(now_ms))
    for said in (some_feedback("tide", thumb="up"), some_feedback("tide", is_hidden=True)):
        await publish(TITLE_FEEDBACK, said.key, said)
    await publish(TITLE_FEEDBACK, "profile-2:tide", None)
    lost = SessionSummary(
        session_id=a_session_id(),
        version=1,
        profile_id="profile",
        started_at_ms=now_ms - 90_000,
        last_event_at_ms=now_ms - 80_000,
        last_received_at_ms=now_ms - 80_000,
    )
    await publish(SESSION_SUMMARIES, lost.session_id, lost)
    for outcome, reason in (("granted", "ok"), ("denied", "region")):
        await publish(LICENSE_DECISIONS, "account", a_license(session, outcome, reason, now_ms))
    ceiling = BitrateDecision(
        session_id=session,
        version=1,
        ceiling_kbps=3000,
        height=720,
        reason="throughput",
        facts=BitrateFacts(throughput_kbps=4000),
        policy_version="1",
        decided_at_ms=now_ms,
    )
    await publish(BITRATE_DECISIONS, session, ceiling)
    for model_version, before_ms in (("older", 120_000), ("m1", 60_000)):
        page = served(now_ms - before_ms, model_version)
        await publish(RECOMMENDATIONS_SERVED, "profile", page)
    await publish(STEERING_DECISIONS, "*", a_decision(1))
    for content_id in ("content", "gone"):
        await publish(CATALOG_TITLES, content_id, a_known_title(content_id))
    await publish(CATALOG_TITLES, "gone", None)
    await publish(ACCOUNT_EVENTS, "account", an_account_event("account_created", 1, "basic"))
    await publish(ACCOUNT_EVENTS, "account", an_account_event("subscription_changed", 2, "premium"))
    minute_ms = (now_ms - 60_000) // 60_000 * 60_000
    for topic, accepted in ((PLAYBACK_EVENTS, 10), (PLAYBACK_BANDWIDTH, 1)):
        entry = LedgerEntry(
            gateway="g", minute_ms=minute_ms, topic=topic.name, accepted=accepted, refused=1
        )
        await publish(GATEWAY_LEDGER, "g", entry)
    await stage.publisher.publish_many(PLAYBACK_EVENTS, [(session, b"nonsense")])
    for sql, expected in (
        ("SELECT count() FROM events", len(events)),
        ("SELECT count() FROM decisions_raw", 17),
        ("SELECT count() FROM sessions", 2),
        ("SELECT count() FROM dead_letters", 1),
        ("SELECT uniqExact(topic) >= 10 FROM ingest_progress", 1),
    ):
        await stage.until(sql, expected)


def a_known_title(content_id: str) -> Title:
    return Title(
        content_id=content_id,
        title=f"The {content_id}",
        duration_ms=DURATION_MS,
        genres=("crime", "drama"),
        version=1,
    )


def a_delivery(now_ms: int) -> KeysDelivered:
    return KeysDelivered(
        request_id="request",
        content_id="content",
        key_ids=("a" * 32, "b" * 32),
        tiers=("audio", "sd"),
        asker="gateway-1",
        asker_role="gateway",
        sender="encoder",
        certificates=("c" * 64,),
        at_ms=now_ms,
    )


def a_license(session: str, outcome: Any, reason: str, now_ms: int) -> LicenseDecision:
    return LicenseDecision(
        decision_id=f"decision {outcome}",
        request_id="request",
        action="license",
        outcome=outcome,
        reason=reason,
        account_id="account",
        session_id=session,
        content_id="content",
        tiers=("sd", "hd"),
        facts=DecisionFacts(plan="standard", region="DE", stream_count=1, stream_limit=2),
        policy_version="7",
        decided_at_ms=now_ms,
        source_partition=0,
        source_offset=0,
    )


def served(at_ms: int, model_version: str) -> Recommendations:
    items = tuple(
        RecommendedTitle(
            content_id=name, title=name, score=0.5, reason="because", propensity=propensity
        )
        for name, propensity in (("other", 1.0), ("content", 0.25))
    )
    rows = tuple(RecommendationRow(row=row, reason="r", items=items) for row in ("a", "b"))
    return Recommendations(
        profile_id="profile",
        rows=rows,
        model_version=model_version,
        as_of_ms=at_ms,
        account_id="account",
        policy_version="rows",
    )


def an_account_event(fact: Any, version: int, plan: str) -> AccountEvent:
    return AccountEvent(
        account_id="account",
        fact=fact,
        at_ms=system_clock(),
        version=version,
        plan=plan,
        subscription_state="active",
    )


async def test_every_table_and_column_says_what_it_is(reader: Store) -> None:
    mute = await reader.query(
        "SELECT table, name FROM system.columns"
        " WHERE database = currentDatabase() AND comment = '' AND table NOT LIKE '.%'"
    )
    assert mute == []
    mute = await reader.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND comment = ''"
    )
    assert mute == []


async def test_personal_columns_are_marked(reader: Store) -> None:
    columns = await reader.query(
        "SELECT table, name, comment FROM system.columns WHERE database = currentDatabase()"
    )
    assert {name for _, name, _ in columns} >= PERSONAL
    for table, name, comment in columns:
        assert name not in PERSONAL or comment.startswith("[personal]"), (table, name)


async def test_the_views_are_those_of_the_contract(reader: Store) -> None:
    rows = await reader.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'View'"
    )
    assert {name for (name,) in rows} == set(VIEWS)


@pytest.mark.parametrize("view", VIEWS)
async def test_who_may_only_read_may_read_every_view(reader: Store, view: str) -> None:
    await reader.query(f"SELECT * FROM {view} LIMIT 10")  # noqa: S608 - a name from above


@pytest.mark.parametrize("number", range(1, 11))
async def test_a_question_of_the_readme_is_answered(reader: Store, number: int) -> None:
    asked = questions()
    assert len(asked) == 10
    assert await reader.query(asked[number - 1]), asked[number - 1]


async def test_a_session_has_its_measures_and_a_lost_one_timed_out(reader: Store) -> None:
    rows = await reader.query(
        "SELECT time_to_first_frame_ms, rebuffer_count, rebuffer_duration_ms, end_reason,"
        " is_timed_out, round(completion_ratio, 3), ended_at = last_event_at"
        " FROM sessions ORDER BY started_at DESC"
    )
    assert rows == [
        [500, 1, 2000, "aborted", False, 0.825, True],
        [None, 0, 0, "timeout", True, None, True],
    ]


async def test_what_profiles_say_of_titles_is_told_by_change(reader: Store) -> None:
    assert await reader.query(
        "SELECT profile_id, content_id, thumb, is_hidden, is_favorite, is_newest"
        " FROM title_feedback ORDER BY profile_id, thumb DESC"
    ) == [
        ["profile-1", "tide", "up", False, False, False],
        ["profile-1", "tide", "", True, False, True],
        ["profile-2", "tide", "", False, False, True],
    ]


async def test_decisions_have_their_types(reader: Store) -> None:
    assert await reader.query(
        "SELECT outcome, reason, tiers, plan, stream_limit, policy_version"
        " FROM license_decisions ORDER BY outcome"
    ) == [
        ["denied", "region", ["sd", "hd"], "standard", 2, "7"],
        ["granted", "ok", ["sd", "hd"], "standard", 2, "7"],
    ]
    assert await reader.query(
        "SELECT ceiling_kbps, rendition_id, height, throughput_kbps, buffer_length_ms"
        " FROM bitrate_decisions"
    ) == [[3000, None, 720, 4000, None]]
    assert await reader.query("SELECT cohort, cdns, ttl_s FROM steering_decisions") == [
        ["*", ["alpha", "beta"], 5]
    ]
    assert await reader.query(
        "SELECT row, row_position, position, content_id, score, policy_version, propensity"
        " FROM recommendations_served WHERE model_version = 'm1' ORDER BY row_position, position"
    ) == [
        ["a", 1, 1, "other", 0.5, "rows", 1.0],
        ["a", 1, 2, "content", 0.5, "rows", 0.25],
        ["b", 2, 1, "other", 0.5, "rows", 1.0],
        ["b", 2, 2, "content", 0.5, "rows", 0.25],
    ]


async def test_a_play_counts_for_the_last_page_that_offered_it(reader: Store) -> None:
    """Watched, not to the end; it was the second of its row."""
    assert await reader.query(
        "SELECT model_version, policy_version, list_count, shown_count, clicked_count,"
        " watched_count, completed_count, click_through_ratio, completion_ratio, coverage_ratio,"
        " diversity, round(ndcg, 3) FROM recommendation_quality ORDER BY model_version"
    ) == [
        ["m1", "rows", 1, 2, 1, 1, 0, 0.5, 0.0, 1.0, 0.5, 0.631],
        ["older", "rows", 1, 2, 0, 0, 0, 0.0, None, 1.0, 0.5, None],
    ]


async def test_the_catalog_and_the_plans_are_as_they_are_now(reader: Store) -> None:
    assert await reader.query("SELECT content_id, title, duration_ms, listed FROM titles") == [
        ["content", "The content", DURATION_MS, True]
    ]
    assert await reader.query(
        "SELECT account_id, plan, subscription_state, created_at <= changed_at FROM accounts_plans"
    ) == [["account", "premium", "active", True]]


async def test_a_key_that_was_given_is_one_row(reader: Store) -> None:
    assert await reader.query(
        "SELECT content_id, tier, key_id, asker_role, sender, length(certificates)"
        " FROM key_deliveries ORDER BY tier"
    ) == [
        ["content", "audio", "a" * 32, "gateway", "encoder", 1],
        ["content", "sd", "b" * 32, "gateway", "encoder", 1],
    ]


async def test_the_ledger_accounts_for_every_record(reader: Store) -> None:
    rows = await reader.query(
        "SELECT topic, sum(accepted), sum(refused), sum(stored), sum(duplicates), sum(conflicts),"
        " sum(dead_letters), any(complete_until) > now() - INTERVAL 1 HOUR FROM ledger"
        " WHERE topic LIKE 'playback%' GROUP BY topic ORDER BY topic"
    )
    assert rows == [
        ["playback.bandwidth.v1", 1, 1, 1, 0, 0, 0, True],
        ["playback.events.v1", 10, 1, 8, 2, 0, 1, True],
    ]


async def test_minutes_sum_up_to_the_sessions(reader: Store) -> None:
    rows = await reader.query(
        "SELECT sum(session_count), sum(start_count), sum(rebuffer_duration_ms), sum(event_count),"
        " sum(play_count), sum(request_count), max(throughput_p50_kbps),"
        " max(time_to_first_frame_p50_ms) FROM qoe_by_minute"
    )
    assert rows == [[2, 1, 2000, 9, 1, 1, 5000, 500]]
