"""Arms from the log into ClickHouse, and what the view makes of the sessions of each."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from statistics import fmean, variance
from typing import Any

import msgspec
import pytest

from agents.analytics.comparison import Measured, compare
from agents.analytics.judge import Judge
from schemas.bitrate import BitrateDecision, BitrateFacts
from schemas.experiments import Experiment
from schemas.watching import SessionSummary
from streams.broker import Broker
from streams.clock import system_clock
from streams.topics import (
    BITRATE_DECISIONS,
    EXPERIMENTS,
    PLAYBACK_BANDWIDTH,
    PLAYBACK_EVENTS,
    SESSION_SUMMARIES,
)
from streams.view import View
from tests.experiments import NAME, an_experiment
from tests.integration.analytics_stage import STATE_KEY, Stage, a_session_id, a_stage, an_engine
from tests.integration.engine import RunningClickHouse
from tests.integration.playback import play_session

TOPICS = (PLAYBACK_EVENTS, PLAYBACK_BANDWIDTH, SESSION_SUMMARIES, BITRATE_DECISIONS, EXPERIMENTS)
SESSIONS_EACH = 120
PLAIN = {"ended_at_ms": 1, "watched_ms": 10_000, "played_ms": 10_000}
ARMS = {"control": {NAME: "control"}, "alone": {NAME: "alone"}}


@pytest.fixture(scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningClickHouse]:
    async with an_engine(tmp_path_factory.mktemp("engine")) as running:
        yield running


@pytest.fixture(scope="module")
async def stage(kafka: Any, engine: RunningClickHouse) -> AsyncIterator[Stage]:
    broker = Broker(bootstrap=kafka.bootstrap, namespace="arms")
    async with a_stage(broker, engine, topics=TOPICS) as stage, stage.sinking(topics=TOPICS):
        yield stage


def a_summary(arms: dict[str, str], **fields: Any) -> SessionSummary:
    now_ms = system_clock()
    return SessionSummary(
        session_id=a_session_id(),
        version=1,
        started_at_ms=now_ms - 20_000,
        last_event_at_ms=now_ms,
        last_received_at_ms=now_ms,
        arms=arms,
        **fields,
    )


def an_arms_sessions(arm: str, kbps: int, seed: int) -> Iterator[SessionSummary]:
    random.seed(seed)
    for _ in range(SESSIONS_EACH):
        kbps_now = round(random.gauss(kbps, 200))
        yield a_summary(ARMS[arm], average_bitrate_kbps=kbps_now, **PLAIN)


async def test_events_and_decisions_tell_the_arms_of_their_session(stage: Stage) -> None:
    session = a_session_id()
    stamped = [
        msgspec.structs.replace(each, stamp=msgspec.structs.replace(each.stamp, arms=arms))
        for each, arms in zip(
            play_session(session), ({}, *[{"b": "x", "a": "y"}] * 20), strict=False
        )
    ]
    await stage.send(*stamped)
    shadow = BitrateDecision(
        session_id=session,
        version=1,
        ceiling_kbps=None,
        shadow_ceiling_kbps=3000,
        reason="first-estimate",
        facts=BitrateFacts(),
        policy="shadow",
        policy_version="1",
        arms={NAME: "alone"},
        decided_at_ms=system_clock(),
    )
    await stage.publisher.publish(BITRATE_DECISIONS, session, shadow)
    await stage.until("SELECT count() FROM events", len(stamped))
    await stage.until("SELECT count() FROM bitrate_decisions", 1)
    assert await stage.ask("SELECT DISTINCT arms FROM events ORDER BY length(arms)") == [
        [{}],
        [{"a": "y", "b": "x"}],
    ]
    assert await stage.ask(
        "SELECT ceiling_kbps, shadow_ceiling_kbps, policy, is_applied, arms FROM bitrate_decisions"
    ) == [[None, 3000, "shadow", False, {NAME: "alone"}]]


@pytest.fixture(scope="module")
async def rows(stage: Stage) -> list[SessionSummary]:
    """The sessions of both arms, the control's first; the last ones do not count."""
    rows = [
        *an_arms_sessions("control", 3000, 1),
        *an_arms_sessions("alone", 2000, 2),
        a_summary(ARMS["alone"], average_bitrate_kbps=9_000, watched_ms=10_000, played_ms=10_000),
        a_summary(ARMS["alone"], average_bitrate_kbps=9_000, canary=True, **PLAIN),
        a_summary({"other": "alone"}, average_bitrate_kbps=9_000, **PLAIN),
    ]
    await stage.publisher.publish(EXPERIMENTS, NAME, an_experiment())
    for summary in (*rows, *rows[:50]):  # delivered again: the session is the same
        await stage.publisher.publish(SESSION_SUMMARIES, summary.session_id, summary)
    await stage.until("SELECT count() FROM sessions WHERE notEmpty(arms)", len(rows))
    await stage.until("SELECT count() FROM experiment_results", 2)
    return rows


async def test_an_arm_is_compared_to_its_control(stage: Stage, rows: list[SessionSummary]) -> None:
    qoe = {
        arm: [(row.average_bitrate_kbps or 0) / 1000 for row in rows if row.ended_at_ms]
        for arm, rows in (("control", rows[:SESSIONS_EACH]), ("alone", rows[SESSIONS_EACH:-2]))
    }
    found = await stage.ask(
        "SELECT arm, is_control, policy, session_count, qoe_mean, qoe_variance, qoe_difference"
        " FROM experiment_results ORDER BY is_control DESC"
    )
    difference = fmean(qoe["alone"]) - fmean(qoe["control"])
    for row, arm, policy, told in (
        (found[0], "control", "stochastic-mpc", None),
        (found[1], "alone", "player", pytest.approx(difference)),
    ):
        assert row[:4] == [arm, arm == "control", policy, SESSIONS_EACH]
        assert row[4:] == [pytest.approx(fmean(qoe[arm])), pytest.approx(variance(qoe[arm])), told]
    bounds = await stage.ask(
        "SELECT qoe_difference_lower, qoe_difference, qoe_difference_upper"
        " FROM experiment_results WHERE NOT is_control"
    )
    assert bounds[0][2] < 0, "a million bit/s less is found among 240 sessions"
    both = [
        Measured(count=len(each), mean=fmean(each), variance=variance(each))
        for each in (qoe["alone"], qoe["control"])
    ]
    same = compare(both[0], both[1], an_experiment().alpha)
    assert same is not None
    assert bounds == [pytest.approx([same.lower, difference, same.upper])]


@pytest.mark.usefixtures("rows")
async def test_an_arm_that_harms_is_stopped_once_and_stays_so(stage: Stage) -> None:
    seen: list[Experiment] = []
    view: View[Experiment] = View(
        stage.broker,
        EXPERIMENTS,
        clock=system_clock,
        state_key=STATE_KEY,
        on_record=lambda record: seen.append(record.value) if record.value else None,
    )
    await view.start()
    before = len(seen)
    for _ in range(2):  # the second as after a restart
        judge = Judge(stage.ports(), stage.store)
        await judge.start()
        await judge.look()
        await judge.look()
        await judge.stop()
    assert await view.wait_until(lambda: len(seen) > before, 10_000)
    await view.reach_end(0)
    await view.stop()
    (stopped,) = seen[before:]
    control, alone = stopped.arms
    assert control.stopped_at_ms is None
    assert alone.stopped_at_ms is not None
    assert "after 120 sessions" in alone.stopped_reason
    assert stopped.stopped_at_ms == alone.stopped_at_ms, "there is nothing left to compare"
    await stage.until(
        "SELECT stopped_reason FROM experiment_results WHERE arm = 'alone'", alone.stopped_reason
    )


@pytest.mark.parametrize(
    ("fields", "qoe"),
    [
        ({"average_bitrate_kbps": 3000, **PLAIN}, 3.0),
        ({"average_bitrate_kbps": 3000, "rebuffer_duration_ms": 2_000, **PLAIN}, 3 * 0.8 - 0.86),
        ({"average_bitrate_kbps": 3000, "time_to_first_frame_ms": 1_000, **PLAIN}, 2.7 - 0.43),
        ({"playback_failed": True, "ended_at_ms": 1}, -4.3),
        ({"exit_before_video_start": True, "ended_at_ms": 1}, -4.3),
        ({"ended_at_ms": 1}, None),
        (PLAIN, None),
    ],
)
async def test_the_qoe_of_a_session(stage: Stage, fields: dict[str, Any], qoe: Any) -> None:
    summary = a_summary({}, **fields)
    await stage.publisher.publish(SESSION_SUMMARIES, summary.session_id, summary)
    await stage.until(
        f"SELECT count() FROM sessions WHERE session_id = '{summary.session_id}'",  # noqa: S608 - made here
        1,
    )
    told = await stage.one(
        f"SELECT qoe FROM sessions WHERE session_id = '{summary.session_id}'"  # noqa: S608 - made here
    )
    assert told == (qoe if qoe is None else pytest.approx(qoe))
