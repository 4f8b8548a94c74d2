"""What the network does to playback, and what the system does about it."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Route

from tests.e2e.asking import until_rows
from tests.e2e.player_page import PlayerPage
from tests.e2e.stack import RunningStack
from tests.e2e.viewers import make_viewer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


@pytest.mark.parametrize("player", ["shaka", "dashjs", "hlsjs"])
async def test_a_throttled_edge_lowers_the_ceiling_and_the_rendition_follows(
    page: PlayerPage, stack: RunningStack, player: str
) -> None:
    await page.sign_in(await make_viewer(stack), "Ada")
    session_id = await page.play("northern-drift", player)
    await page.until_figure("rendition", "720p")
    await page.choose_subtitles("Deutsch", "de")
    await asyncio.gather(*(page.throttle(edge, 500) for edge in stack.edges))
    await until_rows(
        stack,
        "select 1 from bitrate_decisions "
        "where session_id = {session_id:String} and ceiling_kbps < 1000 and version > 1",
        session_id=session_id,
    )
    await page.until_figure("ceiling", "kbit/s")
    await page.until("() => document.querySelector('video').videoHeight < 720")
    await page.until_subtitles("de")
    playhead_s = (await page.shown()).playhead_s
    await page.until_playhead(playhead_s + 2)


async def test_playback_goes_on_from_the_other_edge(page: PlayerPage, stack: RunningStack) -> None:
    await page.sign_in(await make_viewer(stack), "Ada")
    session_id = await page.play("northern-drift")
    await page.until_playhead(2)
    used = await page.figure("cdn")
    (other,) = set(stack.edges) - {used}
    await page.break_edge(used)
    await page.until_figure("cdn", other)
    await page.until_playhead((await page.shown()).playhead_s + 12)
    query = "select playback_failed from sessions where session_id = {session_id:UUID}"
    rows = await until_rows(stack, query, session_id=session_id)
    assert not rows[0]["playback_failed"]


async def test_hlsjs_ends_although_its_ceiling_changes_in_the_last_segment(
    page: PlayerPage, stack: RunningStack
) -> None:
    async def steer(route: Route) -> None:
        is_last_segment = (await page.shown()).playhead_s > 18.1  # of 20 s
        answer = await route.fetch()
        told = await answer.json()
        whole = [name for name in told["PATHWAY-PRIORITY"] if name in stack.edges]
        order = [*(f"{name}-v360" for name in whole), *whole] if is_last_segment else whole
        await route.fulfill(response=answer, json={**told, "TTL": 1, "PATHWAY-PRIORITY": order})

    await page.sign_in(await make_viewer(stack), "Ada")
    await page.page.route("**/steering**", steer)
    await page.play("blue-hour", "hlsjs")
    assert await page.message() == "The end."
    await page.page.unroute_all(behavior="ignoreErrors")
