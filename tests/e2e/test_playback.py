"""A viewer presses Play, in each of the three players."""

from __future__ import annotations

import time

import pytest
from playwright.async_api import Browser

from tests.e2e.asking import until_rows
from tests.e2e.player_page import PlayerPage, open_page
from tests.e2e.stack import RunningStack
from tests.e2e.viewers import make_viewer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


@pytest.mark.parametrize("player", ["shaka", "dashjs", "hlsjs"])
async def test_an_encrypted_title_plays(page: PlayerPage, stack: RunningStack, player: str) -> None:
    await page.sign_in(await make_viewer(stack), "Ada")
    session_id = await page.play("blue-hour", player)
    await page.until_playhead(3)
    shown = await page.shown()
    assert shown.has_keys
    assert shown.height in {240, 360, 480, 720}
    licenses = await until_rows(
        stack,
        "select outcome, reason, key_ids_granted from license_decisions "
        "where session_id = {session_id:String} and action = 'license'",
        session_id=session_id,
    )
    assert {row["outcome"] for row in licenses} == {"granted"}
    assert all(row["key_ids_granted"] for row in licenses)
    for via in ("sdk", "cmcd", "edge"):
        query = "select 1 from events where session_id = {session_id:UUID} and via = {via:String}"
        await until_rows(stack, query, session_id=session_id, via=via)


async def test_the_panel_shows_what_is_stored(page: PlayerPage, stack: RunningStack) -> None:
    await page.sign_in(await make_viewer(stack), "Ada")
    await page.play("northern-drift")
    await page.page.wait_for_selector("[data-card=stored] li[data-type=playing]")
    await page.page.wait_for_selector("[data-card=license] .chip.good")
    await page.page.wait_for_selector("[data-card=license] li[data-granted=true]")
    await page.until_figure("ceiling", "bit/s")
    await page.until_figure("ttff", "s")


async def test_the_session_is_queryable_five_seconds_after_its_first_frame(
    page: PlayerPage, stack: RunningStack
) -> None:
    await page.sign_in(await make_viewer(stack), "Ada")
    session_id = await page.play("northern-drift")
    await page.until("() => document.querySelector('video').currentTime > 0.1")
    shown_at_s = time.monotonic()
    rows = await until_rows(
        stack,
        "select time_to_first_frame_ms from sessions "
        "where session_id = {session_id:UUID} and time_to_first_frame_ms is not null",
        session_id=session_id,
    )
    assert time.monotonic() - shown_at_s < 5
    assert rows[0]["time_to_first_frame_ms"] > 0
    listed = await stack.sql("select * from sessions order by started_at desc limit 5")
    assert session_id in {row["session_id"] for row in listed}


async def test_watching_goes_on_where_it_was_left(page: PlayerPage, stack: RunningStack) -> None:
    await page.sign_in(await make_viewer(stack), "Ada")
    session_id = await page.play("northern-drift")
    await page.until_playhead(14)
    await page.stop()
    await until_rows(
        stack,
        "select 1 from sessions "
        "where session_id = {session_id:UUID} and exit_playhead_ms > 12000 "
        "and ended_at is not null",
        session_id=session_id,
    )
    await page.page.wait_for_selector("[data-row=continue-watching] [data-content=northern-drift]")
    await page.play("northern-drift", "dashjs")
    await page.until("() => document.querySelector('video').readyState >= 3")
    assert (await page.shown()).playhead_s > 10


async def test_without_a_subscription_a_sentence_says_so(
    page: PlayerPage, stack: RunningStack
) -> None:
    await page.sign_in(await make_viewer(stack, state="cancelled"), "Ada")
    await page.press_play("blue-hour")
    assert "no running subscription" in await page.message()


async def test_a_stream_too_many_may_end_another_one(
    page: PlayerPage, browser: Browser, stack: RunningStack
) -> None:
    viewer = await make_viewer(stack, plan="basic")
    async with open_page(browser, stack) as other:
        await other.sign_in(viewer, "Ada")
        await other.play("northern-drift")
        await other.until_playhead(1)
        await page.sign_in(viewer, "Ada")
        await page.press_play("blue-hour")
        assert "streams of your plan" in await page.message()
        await page.page.click("text=Stop the stream begun at")
        await page.until_playhead(1)
