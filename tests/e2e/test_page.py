"""The page itself: its SDK while the gateway is away, its tracks, its console."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser

from tests.e2e.asking import until_rows
from tests.e2e.player_page import PATIENCE_MS, PlayerPage
from tests.e2e.stack import RunningStack
from tests.e2e.viewers import make_viewer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


async def test_events_that_could_not_be_posted_come_later_and_once(
    page: PlayerPage, stack: RunningStack
) -> None:
    await page.sign_in(await make_viewer(stack), "Ada")
    await page.page.route("**/s/*/events", lambda route: route.abort())
    session_id = await page.play("northern-drift")
    await page.until_playhead(3)
    await page.page.unroute("**/s/*/events")
    await page.until_playhead(6)
    await page.stop()
    rows = await until_rows(
        stack,
        "select groupArray(type) as types, groupArray(sequence) as sequences from "
        "(select type, sequence from events where session_id = {session_id:UUID} "
        "and via = 'sdk' order by sequence) having has(types, 'stopped')",
        session_id=session_id,
    )
    assert rows[0]["types"][0] == "play"
    assert "playing" in rows[0]["types"]
    assert [int(each) for each in rows[0]["sequences"]] == list(range(len(rows[0]["sequences"])))


@pytest.mark.parametrize("player", ["shaka", "dashjs", "hlsjs"])
async def test_sound_and_subtitles_can_be_chosen(
    page: PlayerPage, stack: RunningStack, player: str
) -> None:
    await page.sign_in(await make_viewer(stack), "Ada")
    session_id = await page.play("northern-drift", player)
    await page.until_playhead(1)
    await page.page.select_option("[data-tracks=audio]", label="Deutsch (Spieluhr)")
    await page.choose_subtitles("Deutsch", "de")
    for name in ("audio", "subtitles"):
        await until_rows(
            stack,
            "select 1 from events where session_id = {session_id:UUID} "
            "and type = 'interaction' and name = {name:String}",
            session_id=session_id,
            name=name,
        )


async def test_the_console_shows_the_last_hour_to_operators(
    browser: Browser, stack: RunningStack
) -> None:
    page = await browser.new_page(base_url=stack.url)
    page.set_default_timeout(PATIENCE_MS)
    try:
        for role, expected in (("billing", "h1"), ("operator", "[data-card=ledger]")):
            token = await stack.playhead("admin", "token", "create", "--role", role)
            await page.goto("/console")
            await page.fill("input[name=token]", token.strip())
            async with page.expect_response("**/v1/admin/overview") as answered:
                await page.click("button[type=submit]")
            assert (await answered.value).status == (200 if role == "operator" else 403)
            await page.wait_for_selector(expected)
    finally:
        await page.close()
