"""Fixtures only; nothing is imported from here."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from tests.clients.scripted import ScriptedGateway, scripted_gateway
from tests.clients.tab import Tab, open_tab
from tests.e2e.chromium import running_chromium


@pytest.fixture
async def gateway() -> AsyncIterator[ScriptedGateway]:
    async with scripted_gateway() as running:
        yield running


@pytest.fixture(scope="package")
async def browser() -> AsyncIterator[Browser]:
    """Chromium; loud where there is none."""
    async with running_chromium() as running:
        yield running


@pytest.fixture
async def tab(browser: Browser, gateway: ScriptedGateway) -> AsyncIterator[Tab]:
    """A page with the module, which posts to the scripted gateway."""
    async with open_tab(browser, f"{gateway.url}/s/token/events") as opened:
        yield opened
