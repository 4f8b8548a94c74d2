"""Licenses as viewers meet them, in each of the three unmodified players."""

from __future__ import annotations

import time

import pytest

from tests.e2e.asking import until_rows
from tests.e2e.player_page import PlayerPage
from tests.e2e.stack import RunningStack
from tests.e2e.viewers import make_viewer, signed_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

PLAYERS = ["shaka", "dashjs", "hlsjs"]
STOPS_WITHIN_S = 5.0
"""Of the moment at which what was buffered is over."""


@pytest.mark.parametrize("player", PLAYERS)
async def test_a_session_that_is_ended_from_elsewhere_stops(
    page: PlayerPage, stack: RunningStack, player: str
) -> None:
    viewer = await make_viewer(stack)
    await page.sign_in(viewer, "Ada")
    session_id = await page.play("northern-drift", player)
    await page.until_playhead(2)
    buffered_s = await page.buffered_s()
    ended_at_s = time.monotonic()
    async with (
        signed_in(stack, viewer) as elsewhere,
        elsewhere.delete(f"/v1/sessions/{session_id}") as answer,
    ):
        assert answer.status < 300
    assert "ended from another place" in await page.message()
    assert time.monotonic() - ended_at_s < buffered_s + STOPS_WITHIN_S
    assert (await page.shown()).is_paused


@pytest.mark.parametrize("player", PLAYERS)
async def test_a_plan_without_hd_plays_without_it(
    page: PlayerPage, stack: RunningStack, player: str
) -> None:
    await page.sign_in(await make_viewer(stack, plan="basic"), "Ada")
    session_id = await page.play("blue-hour", player)
    await page.until_playhead(3)
    assert (await page.shown()).height <= 480
    decisions = await until_rows(
        stack,
        "select outcome, tiers from license_decisions "
        "where session_id = {session_id:String} and action = 'license'",
        session_id=session_id,
    )
    assert {row["outcome"] for row in decisions} == {"granted"}, "no key was asked for in vain"
    assert all("hd" not in row["tiers"] for row in decisions)


async def test_whoever_is_revoked_reads_so(page: PlayerPage, stack: RunningStack) -> None:
    viewer = await make_viewer(stack)
    await page.sign_in(viewer, "Ada")
    await stack.playhead("license", "revoke", "account", viewer.account_id)
    await page.press_play("blue-hour")
    assert "taken back" in await page.message()


@pytest.mark.parametrize("player", PLAYERS)
async def test_stopping_gives_the_stream_back_at_once(
    page: PlayerPage, stack: RunningStack, player: str
) -> None:
    await page.sign_in(await make_viewer(stack, plan="basic"), "Ada")
    for _ in range(2):
        await page.play("blue-hour", player)
        await page.until_playhead(1)
        await page.stop()
