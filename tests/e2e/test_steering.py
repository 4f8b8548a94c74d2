"""Viewers leave a CDN by an operator's command, and when it fails: three players at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Final

import aiohttp
import pytest
from playwright.async_api import Browser

from agents.steering.policy import TTL_S
from tests.e2e.asking import until
from tests.e2e.player_page import PlayerPage, open_page
from tests.e2e.stack import RunningStack
from tests.e2e.viewers import make_viewer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
PLAYERS: Final = ("shaka", "dashjs", "hlsjs")
FETCHED_AHEAD_S: Final = 10
"""As the player page tells its players."""
BUFFERED_S: Final = 6
GRAIN_S: Final = 0.3
"""A shorter standstill is the machine's, not the network's."""


@pytest.fixture
async def pages(browser: Browser, stack: RunningStack) -> AsyncIterator[Sequence[PlayerPage]]:
    """A tab for each player, in which a title of a minute plays well."""
    async with AsyncExitStack() as tabs:
        opened = [await tabs.enter_async_context(open_page(browser, stack)) for _ in PLAYERS]
        begun = [_begin(page, stack, name) for page, name in zip(opened, PLAYERS, strict=True)]
        await asyncio.gather(*begun)
        yield opened


async def test_a_drained_cdn_is_left_within_two_ttls_without_a_stall(
    pages: Sequence[PlayerPage], stack: RunningStack
) -> None:
    used, other = await _edges(pages, stack)
    await stack.playhead("cdn", "drain", used)
    late_at_s = time.time() + 2 * TTL_S
    try:
        await _until_fetched(pages, stack.edges[other], late_at_s)
    finally:
        await stack.playhead("cdn", "drain", used, "--undo")
    for name, page in zip(PLAYERS, pages, strict=True):
        assert (await page.fetches_at_s(stack.edges[used]))[-1] < late_at_s, name
        assert await page.longest_standstill_s() < GRAIN_S, name


async def test_a_failing_cdn_is_left_without_a_stall_of_a_second(
    pages: Sequence[PlayerPage], stack: RunningStack
) -> None:
    used, other = await _edges(pages, stack)
    failed_at_s = time.time()
    try:
        await _put(f"{stack.edges[used]}/_edge/fault", {"status": 503})
        await _until_fetched(pages, stack.edges[other], failed_at_s)
        # So long what was fetched ahead would hide a stall.
        await asyncio.gather(*(_play_on(page) for page in pages))
    finally:
        await _put(f"{stack.edges[used]}/_edge/fault", {"status": None})
    for name, page in zip(PLAYERS, pages, strict=True):
        assert await page.longest_standstill_s() < 1, name


async def _begin(page: PlayerPage, stack: RunningStack, player: str) -> None:
    await page.sign_in(await make_viewer(stack), "Ada")
    await page.play("northern-drift", player)
    await page.until_playhead(2)
    await page.until(
        "least => { const { buffered, currentTime } = document.querySelector('video');"
        " return buffered.end(buffered.length - 1) - currentTime > least; }",
        BUFFERED_S,
    )
    await page.watch_standstills()


async def _edges(pages: Sequence[PlayerPage], stack: RunningStack) -> tuple[str, str]:
    """The one from which all play, and the other."""
    (used,) = {await page.figure("cdn") for page in pages}
    (other,) = set(stack.edges) - {used}
    return used, other


async def _play_on(page: PlayerPage) -> None:
    """For longer than what was fetched ahead."""
    await page.until_playhead((await page.shown()).playhead_s + FETCHED_AHEAD_S)


async def _until_fetched(pages: Sequence[PlayerPage], url: str, since_s: float) -> None:
    """Until each page has asked for segments below a URL after a moment."""

    async def is_fetched() -> bool:
        fetched_s = [await page.fetches_at_s(url) for page in pages]
        return all(at_s and at_s[-1] > since_s for at_s in fetched_s)

    await until(is_fetched, f"segments of {url} in every player")


async def _put(url: str, told: dict[str, int | None]) -> None:
    async with aiohttp.ClientSession() as http, http.put(url, json=told) as answer:
        answer.raise_for_status()
