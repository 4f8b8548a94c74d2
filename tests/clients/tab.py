"""A page of another origin than the gateway: the browser module, and a film without pictures."""

from __future__ import annotations

import io
import shutil
import wave
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from aiohttp import web
from playwright.async_api import Browser, BrowserContext, Page

WEB = Path(__file__).parents[2] / "gateway" / "web"
SESSION_ID = "01930000-0000-7000-8000-000000000001"
FILM_S = 20
RATE_HZ = 8_000
OPEN = """async ([sessionId, url, options]) => {
    const { Playhead, recover } = await import("/web/playhead.js");
    globalThis.lines = [];
    const onRefused = (line, why) => lines.push([JSON.parse(line).id, why.reason]);
    globalThis.playhead = new Playhead(
        { session_id: sessionId, events_url: url, heartbeat_interval_ms: 200 },
        { onRefused, ...options },
    );
    globalThis.recovered = null;
    globalThis.recover = () => { recovered = recover(); };
}"""
REPORT = """count => {
    for (let n = 0; n < count; n += 1) playhead.report("heartbeat", { playhead_ms: n });
}"""
DRAIN = "async () => { while (playhead.pending > 0) await playhead.flush(); }"


class Tab:
    """One tab; what is asked of it is asked of the module in it."""

    def __init__(self, page: Page, context: BrowserContext, events_url: str) -> None:
        self.page = page
        self.context = context
        self.events_url = events_url

    async def start(self, **options: Any) -> None:
        """A new player instance, as after a reload."""
        await self.page.evaluate(OPEN, [SESSION_ID, self.events_url, options])

    async def report(self, count: int) -> None:
        """So many heartbeats."""
        await self.page.evaluate(REPORT, count)

    async def drain(self) -> None:
        """Asks for the next attempt at once, until nothing waits."""
        await self.page.evaluate(DRAIN)

    async def get(self, expression: str) -> Any:
        """What it is in the page."""
        return await self.page.evaluate(expression)

    async def until(self, condition: str) -> None:
        """Until it is true in the page."""
        await self.page.wait_for_function(condition, timeout=20_000)

    async def kept(self) -> int:
        """Events in IndexedDB."""
        count: int = await self.page.evaluate(
            """() => new Promise((resolve) => {
                const opening = indexedDB.open("playhead");
                opening.onsuccess = () => {
                    const database = opening.result;
                    const events = database.transaction("events").objectStore("events");
                    const request = events.count();
                    request.onsuccess = () => { database.close(); resolve(request.result); };
                };
            })"""
        )
        return count


@asynccontextmanager
async def open_tab(
    browser: Browser, events_url: str, files: Mapping[str, Path] | None = None
) -> AsyncIterator[Tab]:
    """`files` are served beside the module, by their path."""
    context = await browser.new_context()
    try:
        async with _site(files or {}) as url:
            page = await context.new_page()
            problems: list[str] = []
            page.on("pageerror", lambda error: problems.append(str(error)))
            await page.goto(url)
            tab = Tab(page, context, events_url)
            await tab.start()
            yield tab
            assert problems == []
    finally:
        await context.close()


@asynccontextmanager
async def _site(files: Mapping[str, Path]) -> AsyncIterator[str]:
    film = Path(mkdtemp(prefix="playhead-film-")) / "film.wav"
    film.write_bytes(_film())

    async def page(_request: web.Request) -> web.Response:
        return web.Response(
            text="<!doctype html><title>tab</title><body>", content_type="text/html"
        )

    async def get_film(_request: web.Request) -> web.FileResponse:
        return web.FileResponse(film)  # with ranges, without which nobody can seek

    async def get_file(request: web.Request) -> web.FileResponse:
        return web.FileResponse(files[request.match_info["name"]])

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/film.wav", get_film)
    app.router.add_get("/files/{name}", get_file)
    app.router.add_static("/web/", WEB)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()
        shutil.rmtree(film.parent)


def _film() -> bytes:
    """Silence, which a <video> plays like any film; no codec is needed."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(RATE_HZ)
        sound.writeframes(b"\x80" * (FILM_S * RATE_HZ))
    return file.getvalue()
