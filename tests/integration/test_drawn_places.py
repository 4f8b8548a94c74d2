"""Drawn places and their outcomes, from the log into ClickHouse and out of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from infra.operations.drawn_places import HOUR_MS, popular, read_drawn, read_opened
from infra.operations.off_policy import compare
from schemas.recommendations import RecommendationRow, Recommendations, RecommendedTitle
from schemas.watching import SessionSummary
from streams.broker import Broker
from streams.clock import system_clock
from streams.topics import RECOMMENDATIONS_SERVED, SESSION_SUMMARIES
from tests.integration.analytics_stage import Stage, a_session_id, a_stage, an_engine

TOPICS = (RECOMMENDATIONS_SERVED, SESSION_SUMMARIES)


@pytest.fixture(scope="module")
async def stage(kafka: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    broker = Broker(bootstrap=kafka.bootstrap, namespace="draws")
    folder = tmp_path_factory.mktemp("engine")
    async with an_engine(folder) as engine, a_stage(broker, engine, topics=TOPICS) as stage:
        yield stage


def a_page(profile_id: str, at_ms: int, drawn: str) -> Recommendations:
    places = (("first", 1.0), (drawn, 0.25))
    items = tuple(
        RecommendedTitle(content_id=key, title=key, score=0.5, reason="r", propensity=propensity)
        for key, propensity in places
    )
    return Recommendations(
        profile_id=profile_id,
        rows=(RecommendationRow(row="top-picks", reason="r", items=items),),
        model_version="m",
        as_of_ms=at_ms,
        policy_version="rows",
    )


def a_session(profile_id: str, content_id: str, at_ms: int, completion: float) -> SessionSummary:
    return SessionSummary(
        session_id=a_session_id(at_ms),
        version=1,
        profile_id=profile_id,
        content_id=content_id,
        started_at_ms=at_ms,
        last_event_at_ms=at_ms + 1_000,
        last_received_at_ms=at_ms + 1_000,
        ended_at_ms=at_ms + 1_000,
        played_ms=1_000,
        watched_ms=1_000,
        completion_ratio=completion,
    )


async def test_a_draw_has_its_outcome_of_a_day_once(stage: Stage) -> None:
    hour_ms = (system_clock() // HOUR_MS - 48) * HOUR_MS
    pages = [
        a_page("p", hour_ms + 1_000, "x"),
        a_page("p", hour_ms + 2_000, "x"),  # Looked at again.
        a_page("q", hour_ms + 1_000, "y"),
        a_page("q", hour_ms + 47 * HOUR_MS, "x"),  # Not all of its outcome is in.
    ]
    sessions = [
        a_session("p", "x", hour_ms + 60_000, 0.95),
        a_session("q", "y", hour_ms - 60_000, 1.0),  # Before it was drawn.
        a_session("q", "y", hour_ms + 30 * HOUR_MS, 1.0),  # Too late.
        a_session("r", "x", hour_ms - 24 * HOUR_MS, 0.1),
    ]
    async with stage.sinking(topics=TOPICS):
        for page in pages:
            await stage.publisher.publish(RECOMMENDATIONS_SERVED, page.profile_id, page)
        for each in sessions:
            await stage.publisher.publish(SESSION_SUMMARIES, each.session_id, each)
        await stage.until("SELECT count() FROM decisions_raw", len(pages))
        await stage.until("SELECT count() FROM sessions", len(sessions))
    places = await asyncio.to_thread(read_drawn, stage.url, 7)
    assert [(place.profile_id, place.content_id) for place in places] == [("p", "x"), ("q", "y")]
    assert places[0].outcomes == {"clicked": 1.0, "watched": 1.0, "completed": 1.0}
    assert places[1].outcomes == {"clicked": 0.0, "watched": 0.0, "completed": 0.0}
    assert (places[0].position, places[0].propensity) == (2, 0.25)
    assert (places[0].hour_ms, places[0].beside) == (hour_ms, ("first",))
    opened = await asyncio.to_thread(read_opened, stage.url, 7)
    assert sorted((each.content_id, each.times) for each in opened if each.content_id == "x") == [
        ("x", 1),
        ("x", 1),
    ]
    found = compare(popular(places, opened, "clicked"))
    assert found.draws >= 1
    assert found.estimates[0].estimator == "served"
