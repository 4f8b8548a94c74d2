"""Fixtures only; nothing is imported from here."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from playwright.async_api import Browser

from tests.e2e.chromium import running_chromium
from tests.e2e.player_page import PlayerPage, open_page
from tests.e2e.stack import RunningStack, running_stack


@pytest.fixture(scope="package")
async def browser() -> AsyncIterator[Browser]:
    """Chromium; loud where there is none."""
    async with running_chromium() as running:
        yield running


@pytest.fixture(scope="package")
async def stack(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningStack]:
    """Everything, once for all tests; not started where no browser is there to use it."""
    assert browser.is_connected()
    async with running_stack(tmp_path_factory.mktemp("e2e") / "home") as running:
        yield running


@pytest.fixture
async def page(browser: Browser, stack: RunningStack) -> AsyncIterator[PlayerPage]:
    """A tab; the edges are mended after it."""
    async with open_page(browser, stack) as opened:
        yield opened
    async with aiohttp.ClientSession() as http:
        for url in stack.edges.values():
            await http.put(f"{url}/_edge/throttle", json={"kbps": None})
            await http.put(f"{url}/_edge/fault", json={"status": None})
