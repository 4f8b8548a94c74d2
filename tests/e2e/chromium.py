"""Chromium for tests: skipped where there is none, a failure where a CI has none."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser

from infra.bench.players.chromium import NoChromiumError, chromium_path
from infra.bench.players.chromium import running_chromium as run_chromium


@asynccontextmanager
async def running_chromium() -> AsyncIterator[Browser]:
    """Without a window."""
    try:
        chromium_path()
    except NoChromiumError as error:
        how = f"NO BROWSER TEST RAN: {error}"
        if os.environ.get("CI") == "true":
            pytest.fail(how)
        pytest.skip(how)
    async with run_chromium() as browser:
        yield browser
