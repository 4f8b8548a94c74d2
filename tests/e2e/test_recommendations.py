"""What a profile watches changes what it is offered, and nobody else's page."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.asking import until
from tests.e2e.player_page import PlayerPage
from tests.e2e.stack import RunningStack
from tests.e2e.viewers import make_viewer, rows_of, signed_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


async def test_watching_changes_the_profiles_rows_and_no_other_profiles(
    page: PlayerPage, stack: RunningStack
) -> None:
    viewer = await make_viewer(stack, profiles=("Ada", "Ben"))
    async with signed_in(stack, viewer) as client:
        before = await rows_of(client, viewer.profiles["Ada"])
        assert "continue-watching" not in before
        await page.sign_in(viewer, "Ada")
        await page.play("northern-drift")
        await page.until_playhead(13)
        await page.stop()

        async def begun() -> list[dict[str, Any]]:
            rows = await rows_of(client, viewer.profiles["Ada"])
            return rows.get("continue-watching", [])

        (item,) = await until(begun, "the title stands in continue watching")
        assert item["content_id"] == "northern-drift"
        assert item["reason"].startswith("You stopped at 0:1")
        assert "continue-watching" not in await rows_of(client, viewer.profiles["Ben"])


async def test_what_was_watched_to_the_end_is_not_offered_again(
    page: PlayerPage, stack: RunningStack
) -> None:
    viewer = await make_viewer(stack)
    await page.sign_in(viewer, "Ada")
    await page.play("blue-hour")
    assert await page.message() == "The end."
    async with signed_in(stack, viewer) as client:

        async def is_gone() -> bool:
            rows = await rows_of(client, viewer.profiles["Ada"])
            offered = {item["content_id"] for items in rows.values() for item in items}
            return bool(offered) and "blue-hour" not in offered

        await until(is_gone, "the title is offered no more")


async def test_what_is_said_on_the_page_changes_the_profiles_rows_at_once(
    page: PlayerPage, stack: RunningStack
) -> None:
    viewer = await make_viewer(stack, profiles=("Ada", "Ben"))
    everything, my_list = "[data-row=all] [data-content=blue-hour]", "[data-row=my-list]"
    await page.sign_in(viewer, "Ada")
    await page.page.click(everything)
    await page.page.click("dialog [data-feedback=favorite]")
    await page.page.wait_for_selector(f"{my_list} [data-content=blue-hour]", state="attached")
    await page.page.click("dialog [data-feedback=hidden]:enabled")
    await page.page.wait_for_selector(my_list, state="detached")
    async with signed_in(stack, viewer) as client:
        rows = await rows_of(client, viewer.profiles["Ada"])
        assert "blue-hour" not in {item["content_id"] for items in rows.values() for item in items}
        assert "my-list" not in await rows_of(client, viewer.profiles["Ben"])
        await page.page.reload()
        await page.page.click(everything)
        await page.page.click("dialog [data-feedback=hidden][aria-pressed=true]:enabled")
        await page.page.wait_for_selector(f"{my_list} [data-content=blue-hour]", state="attached")
        assert "my-list" in await rows_of(client, viewer.profiles["Ada"])
    assert page.problems == []


async def test_a_profile_turns_its_recommendations_off_and_lets_them_begin_anew(
    page: PlayerPage, stack: RunningStack
) -> None:
    viewer = await make_viewer(stack)
    path = f"/v1/profiles/{viewer.profiles['Ada']}"
    await page.sign_in(viewer, "Ada")
    await page.play("northern-drift")
    await page.until_playhead(13)
    await page.stop()
    async with signed_in(stack, viewer) as client:

        async def rows() -> dict[str, list[dict[str, Any]]]:
            return await rows_of(client, viewer.profiles["Ada"])

        async def is_begun() -> bool:
            return "continue-watching" in await rows()

        await until(is_begun, "the title stands in continue watching")
        async with client.patch(path, json={"is_personalized": False}) as answer:
            assert (await answer.json())["is_personalized"] is False
        assert set(await rows()) <= {"continue-watching", "top-picks", "trending", "new"}
        assert "continue-watching" in await rows()
        async with client.delete(f"{path}/recommendations") as answer:
            assert answer.status == 204
        assert "continue-watching" not in await rows()
        async with client.patch(path, json={"is_personalized": True}) as answer:
            assert answer.status == 200
        assert set(await rows()) <= {"top-picks", "trending", "new"}
