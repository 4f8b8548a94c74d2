"""T7: whatever ids a viewer names, only the account of its token is asked about."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from gateway.routes import ROUTES
from gateway.routing.route import Route
from tests.gateway_fakes import World
from tests.unit.gateway.answering import PROFILE_ID, let_all_answer
from tests.unit.gateway.wire_events import bearer

MINE = "11111111-1111-8111-8111-111111111111"
THEIRS = "22222222-2222-8222-8222-222222222222"
OF_A_VIEWER = [route for route in ROUTES if route.access.startswith("viewer")]
OF_AN_ADMIN = [route for route in ROUTES if route.access == "admin"]
BODIES: dict[str, dict[str, Any]] = {
    "createProfile": {"name": "Eve"},
    "changeProfile": {"name": "Eve"},
    "openSession": {
        "content_id": "title-1",
        "profile_id": PROFILE_ID,
        "device": {"device_id": THEIRS},
    },
    "putPin": {"pin": "4711", "password": "long enough"},
    "unlockProfile": {"pin": "4711"},
    "changeDevice": {"name": "Living room"},
    "putFeedback": {"thumb": "up"},
}
ROLES = ("operator", "billing", "catalog", "ingest", "edge", "packager")


def path_of(route: Route) -> str:
    """Every id in it is one of another account."""
    path = route.path.split("?")[0]
    while "{" in path:
        before, _, rest = path.partition("{")
        path = before + THEIRS + rest.partition("}")[2]
    return path


@pytest.mark.parametrize("route", OF_A_VIEWER, ids=lambda route: route.name)
async def test_ids_of_others_lead_nowhere(
    world: World, client: aiohttp.ClientSession, route: Route
) -> None:
    let_all_answer(world)
    for query in ("", f"?account_id={THEIRS}"):
        async with client.request(
            route.method,
            path_of(route) + query,
            json=BODIES.get(route.name),
            headers=bearer(world.access_token(MINE)) | {"X-Account-Id": THEIRS},
        ) as answer:
            assert answer.status < 500
    asked = [command for _, _, command in world.asker.asked]
    assert asked or route.name == "getRecommendations"
    accounts = {command.account_id for command in asked if hasattr(command, "account_id")}
    assert accounts <= {MINE}
    keys = {key for topic, key, _ in world.asker.asked if topic.startswith(("account", "license"))}
    assert keys <= {MINE}


@pytest.mark.parametrize("route", OF_A_VIEWER, ids=lambda route: route.name)
async def test_nobody_in_particular_gets_nothing(
    world: World, client: aiohttp.ClientSession, route: Route
) -> None:
    let_all_answer(world)
    body = BODIES.get(route.name)
    async with client.request(route.method, path_of(route), json=body) as answer:
        assert answer.status == 401
    assert world.asker.asked == []


@pytest.mark.parametrize("route", OF_AN_ADMIN, ids=lambda route: route.name)
async def test_a_viewer_or_another_role_administers_nothing(
    world: World, client: aiohttp.ClientSession, route: Route
) -> None:
    """API5: functions of an administrator are for the roles that the table of routes names."""
    let_all_answer(world)
    others = [role for role in ROLES if role not in route.roles]
    tokens = [world.access_token(MINE), world.session_token()]
    tokens += [world.admin_token(role) for role in others]  # type: ignore[arg-type]
    for token in tokens:
        async with client.request(
            route.method, path_of(route), data=b"{}", headers=bearer(token)
        ) as answer:
            assert answer.status in {401, 403, 404, 415}, (route.name, answer.status)
            assert answer.status in {401, 403} or route.name.startswith("get")
    assert world.asker.asked == []
    assert not world.publisher.rows


async def test_an_unknown_account_and_a_forbidden_one_look_alike(
    world: World, client: aiohttp.ClientSession
) -> None:
    """Whether an object is another's or nobody's is not to be told."""
    let_all_answer(world)
    headers = bearer(world.access_token(MINE))
    seen = set()
    for profile in (THEIRS, "01930000-0000-7000-8000-0000000000ff", "nonsense"):
        async with client.get(f"/v1/profiles/{profile}/recommendations", headers=headers) as answer:
            body = await answer.json(content_type=None)
            seen.add((answer.status, body["reason"]))
    assert len(seen) == 1
