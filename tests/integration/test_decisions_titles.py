"""Catalog and recommendation agents on the real broker, asked as the gateway asks them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest

from agents.catalog.agent import CatalogAgent
from agents.catalog.soundness import CatalogLimits
from agents.recommendation.agent import RecommendationAgent
from schemas.accounts import Profile as AccountProfile
from schemas.catalog import PutTitle, RemoveTitle, Title, TitleRemoved, TitleStored
from schemas.recommendations import (
    ExplainTitle,
    ForgetProfile,
    GetFeedback,
    GetRecommendations,
    GetResumePoint,
    GetSimilar,
    GiveFeedback,
    ProfileFeedback,
    ProfileForgotten,
    RecommendationRow,
    Recommendations,
    RefreshProfile,
    ResumePoint,
    SimilarTitles,
    TitleExplained,
    TitleFeedback,
)
from schemas.watching import Watch
from streams.broker import Broker
from streams.clock import system_clock
from streams.requests import NoAnswerError, RefusedError
from streams.topics import (
    CATALOG_REQUESTS,
    CATALOG_TITLES,
    RECOMMENDATION_REQUESTS,
    RECOMMENDATION_UPDATES,
    RECOMMENDATIONS_SERVED,
    TITLE_FEEDBACK,
    WATCHES,
)
from streams.view import View
from tests.builders import a_rendition, a_title, a_watch
from tests.integration.house import RECOMMENDATION_TOPICS, House, a_house

TOPICS = (CATALOG_REQUESTS, *RECOMMENDATION_TOPICS)
DEADLINE_MS = 10_000


@pytest.fixture
async def house(broker: Broker, tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(broker, tmp_path, topics=TOPICS) as house:
        yield house


def a_catalog(house: House) -> CatalogAgent:
    return CatalogAgent(house.ports, house.desk("catalog"), CatalogLimits())


async def put(house: House, title: Title) -> Title:
    answer: TitleStored = await house.gateway.ask(
        CATALOG_REQUESTS,
        title.content_id,
        PutTitle(title=title),
        TitleStored,
        deadline_ms=DEADLINE_MS,
    )
    return answer.title


async def test_titles_are_stored_versioned_refused_and_removed(house: House) -> None:
    async with house.working(a_catalog(house)):
        assert (await put(house, a_title())).version == 1
        assert (await put(house, a_title(title="Tears of Steel"))).version == 2
        assert (await put(house, a_title(title="Tears of Steel"))).version == 2
        with pytest.raises(RefusedError) as refused:
            await put(house, a_title(video=(a_rendition(480, 900, codecs=""),)))
        assert (refused.value.refused.status, refused.value.refused.reason) == (422, "title")
        assert "codecs" in refused.value.refused.detail
    async with house.working(a_catalog(house)):
        assert (await put(house, a_title(title="Again"))).version == 3
        removed: TitleRemoved = await house.gateway.ask(
            CATALOG_REQUESTS, "tears", RemoveTitle(content_id="tears"), TitleRemoved
        )
        assert removed.content_id == "tears"
    stored = await house.records(CATALOG_TITLES)
    assert [title and title.version for title in stored] == [1, 2, 3, None]
    assert house.halted == []


async def test_a_request_under_another_key_is_not_answered(house: House) -> None:
    async with house.working(a_catalog(house)):
        with pytest.raises(NoAnswerError):
            await house.gateway.ask(
                CATALOG_REQUESTS, "other", PutTitle(title=a_title()), TitleStored, deadline_ms=1_500
            )
    assert await house.records(CATALOG_TITLES) == []


class Profile:
    """Watches titles, and asks what to watch next."""

    def __init__(self, house: House, profile_id: str = "profile-1") -> None:
        self._house = house
        self._profile_id = profile_id

    async def watch(self, content_id: str, step: str = "started", **changes: Any) -> Watch:
        watch = a_watch(
            content_id, step, profile_id=self._profile_id, at_ms=system_clock(), **changes
        )
        await self._house.publisher.publish(WATCHES, self._profile_id, watch)
        return watch

    async def say(self, content_id: str, **said: Any) -> None:
        changes = GetRecommendations(
            profile_id=self._profile_id, account_id="account-1", maturity=18, region="DE"
        )
        request = GiveFeedback(
            profile_id=self._profile_id, content_id=content_id, changes=changes, **said
        )
        await self._ask(request, TitleFeedback)

    async def said(self) -> list[str]:
        answer = await self._ask(GetFeedback(profile_id=self._profile_id), ProfileFeedback)
        return [title.content_id for title in answer.titles]

    async def refresh(self) -> dict[str, list[str]]:
        changes = GetRecommendations(
            profile_id=self._profile_id, account_id="account-1", maturity=18, region="DE"
        )
        request = RefreshProfile(profile_id=self._profile_id, changes=changes)
        return _names((await self._ask(request, Recommendations)).rows)

    async def be_forgotten(self) -> None:
        await self._ask(ForgetProfile(profile_id=self._profile_id), ProfileForgotten)

    async def _ask(self, request: Any, answer: Any) -> Any:
        return await self._house.gateway.ask(
            RECOMMENDATION_REQUESTS, self._profile_id, request, answer, deadline_ms=DEADLINE_MS
        )

    async def why(self, content_id: str) -> TitleExplained:
        request = ExplainTitle(profile_id=self._profile_id, content_id=content_id)
        explained: TitleExplained = await self._house.gateway.ask(
            RECOMMENDATION_REQUESTS,
            self._profile_id,
            request,
            TitleExplained,
            deadline_ms=DEADLINE_MS,
        )
        return explained

    async def rows(self, *, is_look: bool = False) -> dict[str, list[str]]:
        request = GetRecommendations(
            profile_id=self._profile_id,
            account_id="account-1",
            maturity=18,
            region="DE",
            is_look=is_look,
        )
        answer: Recommendations = await self._house.gateway.ask(
            RECOMMENDATION_REQUESTS,
            self._profile_id,
            request,
            Recommendations,
            deadline_ms=DEADLINE_MS,
        )
        assert all(item.reason for row in answer.rows for item in row.items)
        return _names(answer.rows)

    async def resume_ms(self, content_id: str) -> int:
        answer: ResumePoint = await self._house.gateway.ask(
            RECOMMENDATION_REQUESTS,
            self._profile_id,
            GetResumePoint(profile_id=self._profile_id, content_id=content_id),
            ResumePoint,
            deadline_ms=DEADLINE_MS,
        )
        return answer.playhead_ms


def _names(rows: Iterable[RecommendationRow]) -> dict[str, list[str]]:
    return {row.row: [item.content_id for item in row.items] for row in rows}


def a_recommendation_agent(house: House) -> RecommendationAgent:
    return RecommendationAgent(house.ports, house.desk("recommendation"))


async def test_each_watch_changes_the_rows_and_a_restart_forgets_nothing(house: House) -> None:
    now_ms = system_clock()
    for number, name in enumerate("abcd"):
        await house.put_title(a_title(name, added_at_ms=now_ms - number))
    for number in range(20):
        other = Profile(house, f"other-{number}")
        for name in "abc":
            await other.watch(name, "completed")
    updates: View[Recommendations] = View(house.broker, RECOMMENDATION_UPDATES, clock=system_clock)
    await updates.start()
    viewer = Profile(house)
    async with house.working(a_recommendation_agent(house)):
        first = await viewer.rows()
        assert sorted(first["trending"]) == ["a", "b", "c"]
        await viewer.watch("a", "completed", playhead_ms=60_000)
        assert await updates.wait_until(lambda: updates.get("profile-1") is not None, 10_000)
        second = await viewer.rows()
        assert second["because:a"] == ["b", "c"]
        assert all("a" not in names for names in second.values())
        await viewer.watch("b", "progressed", playhead_ms=31_000)
        assert await updates.wait_until(
            lambda: any(row.row == "continue-watching" for row in updated(updates)), 10_000
        )
        assert await viewer.resume_ms("b") == 31_000
        assert await viewer.resume_ms("a") == 0
        recorded = len(await house.records(RECOMMENDATIONS_SERVED))
        before = await viewer.rows(is_look=True)
        explained = await viewer.why("c")
        assert explained.history_count == 2
        assert max(explained.experts, key=lambda each: each.part).part > 0
        assert len(await house.records(RECOMMENDATIONS_SERVED)) == recorded
        assert await viewer.rows() == before
    async with house.working(a_recommendation_agent(house)):
        assert await viewer.rows() == before
        assert await viewer.resume_ms("b") == 31_000
    await updates.stop()
    # A request whose acknowledgment the restart overtook is in time still, and answered again.
    assert len(await house.records(RECOMMENDATIONS_SERVED)) >= 4
    assert house.halted == []


def updated(updates: View[Recommendations]) -> tuple[Any, ...]:
    found = updates.get("profile-1")
    return () if found is None else found.rows


async def test_a_new_profile_is_offered_the_newest_and_starts_at_zero(house: House) -> None:
    await house.put_title(a_title("fresh", added_at_ms=system_clock()))
    async with house.working(a_recommendation_agent(house)):
        viewer = Profile(house, "new-profile")
        assert await viewer.rows() == {"new": ["fresh"]}
        assert await viewer.resume_ms("fresh") == 0


async def test_a_title_nobody_watched_is_like_another(house: House) -> None:
    for name, genre in (("crime-1", "crime"), ("crime-2", "crime"), ("kids", "kids")):
        await house.put_title(a_title(name, genres=(genre,)))
    async with house.working(a_recommendation_agent(house)):
        found: SimilarTitles = await house.gateway.ask(
            RECOMMENDATION_REQUESTS,
            "crime-1",
            GetSimilar(content_id="crime-1"),
            SimilarTitles,
            deadline_ms=DEADLINE_MS,
        )
    assert [item.content_id for item in found.items] == ["crime-2"]


async def test_feedback_counts_in_the_next_answer_and_is_kept_until_taken_back(
    house: House,
) -> None:
    for name in "abc":
        await house.put_title(a_title(name, added_at_ms=system_clock()))
    updates: View[Recommendations] = View(house.broker, RECOMMENDATION_UPDATES, clock=system_clock)
    await updates.start()
    viewer = Profile(house)
    async with house.working(a_recommendation_agent(house)):
        assert sorted((await viewer.rows())["new"]) == ["a", "b", "c"]
        await viewer.say("a", is_hidden=True)
        await viewer.say("b", is_favorite=True)
        rows = await viewer.rows()
        assert rows["my-list"] == ["b"]
        assert all("a" not in names for names in rows.values())
        assert await Profile(house, "profile-2").said() == []

    # What is served while the agent is away.
    def is_listed() -> bool:
        return any(row.row == "my-list" for row in updated(updates))

    assert await updates.wait_until(is_listed, 10_000)
    assert "a" not in {item.content_id for row in updated(updates) for item in row.items}
    async with house.working(a_recommendation_agent(house)):
        assert await viewer.said() == ["b", "a"]
        assert await viewer.rows() == rows
        await viewer.say("a")
        assert "a" in (await viewer.rows())["new"]
        await viewer.be_forgotten()
        assert await viewer.said() == []
    async with house.working(a_recommendation_agent(house)):
        assert await viewer.said() == []
        assert "my-list" not in await viewer.rows()
    await updates.stop()
    assert house.halted == []


async def test_what_the_account_decides_counts_at_once_and_after_every_start(house: House) -> None:
    for name in "abcd":
        await house.put_title(a_title(name, added_at_ms=system_clock()))
    for number in range(20):
        for name in "abcd":
            await Profile(house, f"other-{number}").watch(name, "completed")
    updates: View[Recommendations] = View(house.broker, RECOMMENDATION_UPDATES, clock=system_clock)
    await updates.start()
    viewer = Profile(house)

    async def decide(version: int, **changes: Any) -> dict[str, list[str]]:
        ada = AccountProfile(profile_id="profile-1", name="Ada", created_at_ms=0, **changes)
        await house.put_account(version=version, profiles=(ada,))
        return await viewer.refresh()

    async with house.working(a_recommendation_agent(house)):
        await viewer.rows()
        await viewer.watch("a", "completed")
        await viewer.watch("b", "progressed", playhead_ms=31_000)
        assert await updates.wait_until(
            lambda: {"continue-watching", "because:a"} <= set(_names(updated(updates))), 10_000
        )
        await viewer.say("d", is_favorite=True)
        off = await decide(2, is_personalized=False)
        assert set(off) == {"continue-watching", "my-list", "top-picks", "trending", "new"}
        # Watched since, it changes where to go on alone.
        await viewer.watch("c", "progressed", playhead_ms=31_000)
        assert await updates.wait_until(
            lambda: _names(updated(updates))["continue-watching"] == ["c", "b"], 10_000
        )
        assert "because:c" not in _names(updated(updates))
        off = await viewer.rows()
        anew = await decide(3, personalized_since_ms=system_clock())
        assert set(anew) == {"top-picks", "trending", "new"}
        assert await viewer.resume_ms("b") == 0
    assert (await house.records(TITLE_FEEDBACK))[-1] is None
    assert await updates.wait_until(lambda: _names(updated(updates)) == anew, 10_000)
    async with house.working(a_recommendation_agent(house)):
        assert set(await viewer.rows()) == set(anew)
        assert await viewer.resume_ms("b") == 0
        assert await viewer.said() == []
    await updates.stop()
    assert house.halted == []
