from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.catalog import page_of
from schemas.accounts import GetAccount, Profile
from schemas.recommendations import GetRecommendations, Recommendations
from tests.builders import a_title
from tests.gateway_fakes import NOW_MS, World
from tests.unit.gateway.answering import PROFILE_ID, a_view, let_all_answer
from tests.unit.gateway.wire_events import bearer

GENRES = ("drama", "comedy")


@given(count=st.integers(0, 30), size=st.integers(1, 10))
def test_pages_give_every_title_once_in_order(count: int, size: int) -> None:
    titles = [a_title(f"title-{number:02}") for number in range(count)]
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        page, after = page_of(reversed(titles), query="", genre="", after=after, count=size)
        assert len(page) <= size
        found += [title.content_id for title in page]
    assert found == [title.content_id for title in titles]


async def test_titles_are_found_by_words_and_genre(
    world: World, client: aiohttp.ClientSession
) -> None:
    world.titles.put("a", a_title("a", title="Big Trees", genres=("Drama",)))
    world.titles.put("b", a_title("b", title="Small trees", genres=("comedy",)))
    world.titles.put("c", a_title("c", title="Hidden trees", listed=False))

    async def found(query: str) -> list[str]:
        async with client.get(f"/v1/titles{query}") as answer:
            assert answer.status == 200
            return [title["content_id"] for title in (await answer.json())["titles"]]

    assert await found("") == ["a", "b"]
    assert await found("?query=TREES+big") == ["a"]
    assert await found("?genre=drama") == ["a"]
    assert await found("?genre=western") == []


async def test_a_title_shows_neither_keys_nor_storage(
    world: World, client: aiohttp.ClientSession
) -> None:
    world.titles.put("tears", a_title(poster="poster.jpg"))
    async with client.get("/v1/titles/tears") as answer:
        text = await answer.text()
        title = await answer.json()
    assert title["poster_url"] == "http://127.0.0.1:8081/tears/poster.jpg"
    assert "key_id" not in text
    assert "file://" not in text
    bodies = set()
    world.titles.put("hidden", a_title("hidden", listed=False))
    for absent in ("hidden", "never-was"):
        async with client.get(f"/v1/titles/{absent}") as answer:
            bodies.add((answer.status, await answer.text()))
    assert {status for status, _ in bodies} == {404}
    assert len(bodies) == 1


@pytest.mark.parametrize("query", ["cursor=%00", "cursor=zzz", "query=" + "x" * 200])
async def test_bad_queries_are_400(client: aiohttp.ClientSession, query: str) -> None:
    async with client.get(f"/v1/titles?{query}") as answer:
        assert answer.status == 400


async def test_only_the_catalog_role_stores_titles(
    world: World, client: aiohttp.ClientSession
) -> None:
    let_all_answer(world)
    body: dict[str, Any] = {"content_id": "tears", "title": "Tears", "duration_ms": 60_000}
    for path, token, status in (
        ("tears", world.admin_token("catalog"), 200),
        ("other", world.admin_token("catalog"), 400),
        ("tears", world.admin_token("billing"), 403),
        ("tears", world.access_token(), 401),
    ):
        async with client.put(
            f"/v1/admin/titles/{path}", json=body, headers=bearer(token)
        ) as answer:
            assert answer.status == status


async def _rows(
    world: World, client: aiohttp.ClientSession, account_id: str, query: str = ""
) -> tuple[int, dict[str, Any]]:
    path = f"/v1/profiles/{PROFILE_ID}/recommendations{query}"
    async with client.get(path, headers=bearer(world.access_token(account_id))) as answer:
        return answer.status, await answer.json(content_type=None)


async def test_recommendations_come_from_their_agent(
    world: World, client: aiohttp.ClientSession
) -> None:
    let_all_answer(world)
    status, body = await _rows(world, client, world.new_id(), "?count=5&os=webOS")
    assert status == 200
    assert set(body) == {"rows", "model_version", "as_of"}
    assert body["rows"][0]["items"][0]["reason"] == "popular now"
    (asked,) = (q for _, _, q in world.asker.asked if isinstance(q, GetRecommendations))
    assert (asked.count, asked.region, asked.plan, asked.maturity) == (5, "DE", "standard", 18)
    assert asked.os == "webOS"
    for wrong in ("0", "101", "x", "-1", "9" * 20):
        assert (await _rows(world, client, world.new_id(), f"?count={wrong}"))[0] == 400


async def test_another_accounts_profile_looks_like_none(
    world: World, client: aiohttp.ClientSession
) -> None:
    let_all_answer(world)
    headers = bearer(world.access_token())
    async with client.get("/v1/profiles/other/recommendations", headers=headers) as answer:
        assert answer.status == 404
        assert "detail" not in await answer.json(content_type=None)


async def test_the_last_known_rows_are_given_while_the_agent_is_away(
    world: World, client: aiohttp.ClientSession
) -> None:
    account_id = world.new_id()
    known = Recommendations(
        profile_id=PROFILE_ID, rows=(), model_version="7", as_of_ms=NOW_MS, account_id=account_id
    )
    world.recommendations.put(PROFILE_ID, known)
    world.clock.now_ms += 30_000
    path = f"/v1/profiles/{PROFILE_ID}/recommendations"
    async with client.get(path, headers=bearer(world.access_token(account_id))) as answer:
        assert answer.status == 200
        assert answer.headers["Age"] == "30"
        assert (await answer.json())["model_version"] == "7"
    status, problem = await _rows(world, client, world.new_id())
    assert (status, problem["outcome"]) == (503, "unknown")


async def test_an_operator_looks_at_rows_reasons_and_likeness(
    world: World, client: aiohttp.ClientSession
) -> None:
    let_all_answer(world)
    world.titles.put("tears", a_title())
    profile = f"/v1/admin/profiles/{PROFILE_ID}/recommendations"
    for path, status in (
        (f"{profile}?maturity=12&region=SE&plan=basic&count=3", 200),
        (f"{profile}?maturity=99", 400),
        (f"{profile}/tears", 200),
        (f"{profile}/unknown", 404),
        ("/v1/admin/titles/tears/similar?count=3", 200),
        ("/v1/admin/titles/unknown/similar", 404),
    ):
        async with client.get(path, headers=bearer(world.admin_token("operator"))) as answer:
            assert answer.status == status, path
        async with client.get(path, headers=bearer(world.admin_token("billing"))) as answer:
            assert answer.status == 403
    (asked,) = (q for _, _, q in world.asker.asked if isinstance(q, GetRecommendations))
    assert asked.is_look
    assert (asked.maturity, asked.region, asked.plan, asked.count) == (12, "SE", "basic", 3)


@pytest.mark.parametrize(
    ("decided", "status"),
    [
        ({}, 200),
        ({"personalized_since_ms": NOW_MS - 1}, 200),
        ({"personalized_since_ms": NOW_MS + 1}, 503),
        ({"is_personalized": False}, 503),
    ],
)
async def test_no_rows_are_given_that_know_more_than_the_profile_allows_now(
    world: World, client: aiohttp.ClientSession, decided: dict[str, Any], status: int
) -> None:
    account_id = world.new_id()
    let_all_answer(world)
    del world.asker.answers[GetRecommendations]
    profile = Profile(profile_id=PROFILE_ID, name="Ada", created_at_ms=NOW_MS, **decided)
    world.asker.answers[GetAccount] = lambda command: replace(a_view(command), profiles=(profile,))
    known = Recommendations(
        profile_id=PROFILE_ID, rows=(), model_version="7", as_of_ms=NOW_MS, account_id=account_id
    )
    world.recommendations.put(PROFILE_ID, known)
    assert (await _rows(world, client, account_id))[0] == status
    if not decided.get("is_personalized", True):
        world.recommendations.put(PROFILE_ID, replace(known, is_personalized=False))
        assert (await _rows(world, client, account_id))[0] == 200
