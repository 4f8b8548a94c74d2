from __future__ import annotations

from typing import Any

import aiohttp
import msgspec
import pytest

from schemas.accounts import GetAccount
from schemas.envelope import Refused
from schemas.recommendations import ForgetProfile, GiveFeedback
from streams.requests import RefusedError
from tests.builders import a_title
from tests.gateway_fakes import NOW_MS, World
from tests.unit.gateway.answering import PROFILE_ID, a_view, let_all_answer
from tests.unit.gateway.wire_events import bearer

PATH = f"/v1/profiles/{PROFILE_ID}/feedback"


@pytest.fixture
def account_id(world: World) -> str:
    let_all_answer(world)
    world.titles.put("tears", a_title())
    return world.new_id()


def given(world: World) -> list[GiveFeedback]:
    return [body for _, _, body in world.asker.asked if isinstance(body, GiveFeedback)]


async def test_feedback_goes_to_its_agent_with_what_the_rows_need(
    world: World, client: aiohttp.ClientSession, account_id: str
) -> None:
    headers = bearer(world.access_token(account_id))
    body = {"thumb": "up", "is_favorite": True}
    async with client.put(f"{PATH}/tears", json=body, headers=headers) as answer:
        assert answer.status == 200
        told = await answer.json()
    assert told.pop("said_at").startswith("2027-01-15T")
    assert told == {
        "content_id": "tears",
        "thumb": "up",
        "is_hidden": False,
        "is_favorite": True,
    }
    (asked,) = given(world)
    assert (asked.content_id, asked.thumb, asked.is_favorite) == ("tears", "up", True)
    changes = asked.changes
    assert (changes.account_id, changes.region, changes.plan) == (account_id, "DE", "standard")
    async with client.delete(f"{PATH}/tears", headers=headers) as answer:
        assert answer.status == 204
    assert (given(world)[-1].thumb, given(world)[-1].is_favorite) == ("", False)
    async with client.get(PATH, headers=headers) as answer:
        (title,) = (await answer.json())["titles"]
    assert (title["content_id"], title["thumb"]) == ("title-1", "up")


async def test_only_good_feedback_of_listed_titles_is_taken(
    world: World, client: aiohttp.ClientSession, account_id: str
) -> None:
    world.titles.put("unlisted", a_title("unlisted", listed=False))
    headers = bearer(world.access_token(account_id))
    bodies: list[tuple[str, dict[str, Any], int]] = [
        ("tears", {"thumb": "sideways"}, 400),
        ("tears", {"stars": 5}, 400),
        ("unlisted", {"thumb": "up"}, 404),
        ("never-was", {"thumb": "up"}, 404),
    ]
    for content_id, body, status in bodies:
        async with client.put(f"{PATH}/{content_id}", json=body, headers=headers) as answer:
            assert answer.status == status
    async with client.delete(f"{PATH}/never-was", headers=headers) as answer:
        assert answer.status == 204
    other = "/v1/profiles/other/feedback"
    for path, status in ((other, 404), (PATH, 200)):
        async with client.get(path, headers=headers) as answer:
            assert answer.status == status


async def test_a_guarded_profile_says_nothing_without_its_pin(
    world: World, client: aiohttp.ClientSession, account_id: str
) -> None:
    def guarded(command: GetAccount) -> Any:
        view = a_view(command)
        profile = msgspec.structs.replace(view.profiles[0], pin_set_at_ms=NOW_MS)
        return msgspec.structs.replace(view, profiles=(profile,))

    world.asker.answers[GetAccount] = guarded
    headers = bearer(world.access_token(account_id))
    proofs = {
        "": 403,
        world.profile_token(account_id, PROFILE_ID, NOW_MS - 1): 403,
        world.profile_token(account_id, "another", NOW_MS): 403,
        world.profile_token(account_id, PROFILE_ID, NOW_MS): 200,
    }
    for proof, status in proofs.items():
        said = {**headers, "Profile-Token": proof}
        async with client.put(f"{PATH}/tears", json={"thumb": "up"}, headers=said) as answer:
            assert answer.status == status, proof
    assert len(given(world)) == 1


async def test_too_much_of_it_is_409(
    world: World, client: aiohttp.ClientSession, account_id: str
) -> None:
    def full(_: GiveFeedback) -> Any:
        raise RefusedError(Refused(status=409, reason="feedback-full"))

    world.asker.answers[GiveFeedback] = full
    headers = bearer(world.access_token(account_id))
    async with client.put(f"{PATH}/tears", json={"thumb": "up"}, headers=headers) as answer:
        assert (answer.status, (await answer.json())["reason"]) == (409, "feedback-full")


async def test_a_deleted_profiles_feedback_is_forgotten(
    world: World, client: aiohttp.ClientSession, account_id: str
) -> None:
    headers = bearer(world.access_token(account_id))
    async with client.delete(f"/v1/profiles/{PROFILE_ID}", headers=headers) as answer:
        assert answer.status == 204
    assert world.asker.asked[-1][2] == ForgetProfile(profile_id=PROFILE_ID)
