"""Chromium, run so that it plays by itself and reaches nothing but this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from playwright.async_api import Browser, async_playwright

from schemas.errors import PlayheadError

NAMES: Final = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
HOW: Final = "`apt-get install chromium` brings one, or set PLAYWRIGHT_CHROMIUM to its path"
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--mute-audio",
    "--disable-domain-reliability",
    "--disable-client-side-phishing-detection",
    "--metrics-recording-only",
    "--no-pings",
    "--renderer-process-limit=2",
    "--disable-features=Translate,OptimizationHints,MediaRouter,DialMediaRouteProvider",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


class NoChromiumError(PlayheadError):
    """There is none; the message says how one is brought."""


def chromium_path() -> str:
    """Where it is. Raises NoChromiumError."""
    given = os.environ.get("PLAYWRIGHT_CHROMIUM")
    found = given or next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise NoChromiumError(f"no Chromium was found; {HOW}")
    return found


@asynccontextmanager
async def running_chromium() -> AsyncIterator[Browser]:
    """Without a window. Raises NoChromiumError."""
    path = chromium_path()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path, headless=True, args=list(FLAGS)
        )
        try:
            yield browser
        finally:
            await browser.close()
