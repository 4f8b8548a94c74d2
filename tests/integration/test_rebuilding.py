"""The title model rebuilt on the real broker while its agent answers, and after a kill."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agents.recommendation.agent import RecommendationAgent
from agents.recommendation.blend import Blend
from agents.recommendation.tastes import version_of
from infra.operations.rebuilding import KEY
from schemas.recommendations import GetRecommendations, ModelStart, Recommendations
from streams.broker import Broker
from streams.clock import system_clock
from streams.topics import (
    RECOMMENDATION_MODELS,
    RECOMMENDATION_REQUESTS,
    WATCHES,
)
from tests.builders import a_title, a_watch
from tests.integration.house import RECOMMENDATION_TOPICS, House, a_house

PATIENCE_S = 60
OLD_MS = 1_700_000_000_000


@pytest.fixture
async def house(broker: Broker, tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(broker, tmp_path, topics=RECOMMENDATION_TOPICS) as house:
        yield house


def an_agent(house: House) -> RecommendationAgent:
    return RecommendationAgent(house.ports, house.desk("recommendation"))


async def watch(house: House, viewer: str, titles: str, at_ms: int) -> None:
    for place, name in enumerate(titles):
        step = a_watch(
            name, profile_id=viewer, session_id=f"{viewer}-{name}", at_ms=at_ms + 1_000 * place
        )
        await house.publisher.publish(WATCHES, viewer, step)


async def answer(house: House, viewer: str) -> Recommendations:
    question = GetRecommendations(
        profile_id=viewer, account_id="account-1", maturity=18, region="DE", is_look=True
    )
    found: Recommendations = await house.gateway.ask(
        RECOMMENDATION_REQUESTS, viewer, question, Recommendations, deadline_ms=10_000
    )
    return found


def because(found: Recommendations, name: str) -> list[str]:
    rows = {row.row: row for row in found.rows}
    row = rows.get(f"because:{name}")
    return [] if row is None else [item.content_id for item in row.items]


async def order(house: House, since_ms: int) -> str:
    """The version of the model that is ordered."""
    start = ModelStart(since_ms=since_ms, decided_at_ms=system_clock())
    await house.publisher.publish(RECOMMENDATION_MODELS, KEY, start)
    return version_of(Blend(), start)


async def until_answered_by(house: House, version: str) -> Recommendations:
    """Every answer until then is one of the old model, and none is missing."""
    async with asyncio.timeout(PATIENCE_S):
        number = 0
        while True:
            found = await answer(house, "viewer")
            if found.model_version == version:
                return found
            number += 1
            await watch(house, f"meanwhile-{number}", "adc", system_clock())


async def test_a_rebuild_takes_the_place_of_the_live_model_and_outlives_a_kill(
    house: House,
) -> None:
    for name in "abcdef":
        await house.put_title(a_title(name))
    for number in range(20):
        await watch(house, f"old-{number}", "abc", OLD_MS)
        await watch(house, f"new-{number}", "adc", system_clock())
    await watch(house, "viewer", "a", system_clock())
    async with house.working(an_agent(house)):
        first = await answer(house, "viewer")
        assert first.model_version == Blend.version
        assert sorted(because(first, "a")) == ["b", "c", "d"]
        rebuilt = await until_answered_by(house, await order(house, OLD_MS + 86_400_000))
        assert because(rebuilt, "a") == ["d", "c"]
        again = await order(house, 0)
    # Gone before it was rebuilt, or just after: the next start brings it.
    async with house.working(an_agent(house)):
        found = await answer(house, "viewer")
        assert found.model_version == again
        assert sorted(because(found, "a")) == ["b", "c", "d"]
    assert house.halted == []
