"""Fixtures only; nothing is imported from here."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright

from tests.clients.scripted import ScriptedGateway, scripted_gateway
from tests.clients.tab import Tab, open_tab
from tests.e2e.chromium import FLAGS, chromium_path


@pytest.fixture
async def gateway() -> AsyncIterator[ScriptedGateway]:
    async with scripted_gateway() as running:
        yield running


@pytest.fixture(scope="package")
async def browser() -> AsyncIterator[Browser]:
    """Chromium; loud where there is none."""
    path = chromium_path()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path, headless=True, args=list(FLAGS)
        )
        yield browser
        await browser.close()


@pytest.fixture
async def tab(browser: Browser, gateway: ScriptedGateway) -> AsyncIterator[Tab]:
    """A page with the module, which posts to the scripted gateway."""
    async with open_tab(browser, f"{gateway.url}/s/token/events") as opened:
        yield opened
