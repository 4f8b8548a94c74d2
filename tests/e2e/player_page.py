"""The player page as a viewer uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from playwright.async_api import Browser, Page

from tests.e2e.stack import RunningStack
from tests.e2e.viewers import TestViewer

PATIENCE_MS = 90_000
"""Of one step, on a machine that does other things too."""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """The `<video>` as it is now."""

    playhead_s: float
    height: int
    has_keys: bool
    is_paused: bool


class PlayerPage:
    """One tab."""

    def __init__(self, page: Page) -> None:
        self.page = page
        page.set_default_timeout(PATIENCE_MS)
        self.problems: list[str] = []
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda message: self._note(message.type, message.text))

    def _note(self, kind: str, text: str) -> None:
        if kind == "error" and "Content Security Policy" in text:
            self.problems.append(text)

    async def sign_in(self, viewer: TestViewer, profile: str) -> None:
        """Until the profile's page is there."""
        await self.page.goto("/")
        await self.page.fill("input[name=email]", viewer.email)
        await self.page.fill("input[name=password]", viewer.password)
        await self.page.click("button[type=submit]")
        await self.page.click(f"[data-profile='{profile}']")
        await self.page.wait_for_selector("[data-content]")

    async def press_play(self, content_id: str, player: str = "shaka") -> None:
        """Returns when it is pressed."""
        await self.page.click(f"[data-row=all] [data-content={content_id}]")
        await self.page.click(f"dialog [data-player={player}]")
        await self.page.click("dialog [data-action=play]")

    async def play(self, content_id: str, player: str = "shaka") -> str:
        """Returns with the session's id when it is open."""
        async with self.page.expect_response(
            lambda response: response.url.endswith("/v1/sessions")
        ) as opened:
            await self.press_play(content_id, player)
        session: dict[str, Any] = await (await opened.value).json()
        return str(session["session_id"])

    async def shown(self) -> Shown:
        """What is on the screen."""
        told = await self.page.evaluate(
            """() => {
                const video = document.querySelector("video");
                return {
                    playhead_s: video.currentTime,
                    height: video.videoHeight,
                    has_keys: video.mediaKeys !== null,
                    is_paused: video.paused,
                };
            }"""
        )
        return msgspec.convert(told, Shown, strict=False)

    async def buffered_s(self) -> float:
        """How far the video could go on without the network."""
        told = await self.page.evaluate(
            """() => {
                const { buffered, currentTime } = document.querySelector("video");
                return Math.max(0, buffered.end(buffered.length - 1) - currentTime);
            }"""
        )
        return float(told)

    async def watch_standstills(self) -> None:
        """From now on `longest_standstill_s` is known, and no fetch is forgotten."""
        await self.page.evaluate(
            """() => {
                const video = document.querySelector("video");
                let playheadS = video.currentTime;
                let sinceMs = performance.now();
                globalThis.standstillMs = 0;
                performance.setResourceTimingBufferSize(10_000);
                setInterval(() => {
                    const stoodMs = performance.now() - sinceMs;
                    if (video.currentTime === playheadS) {
                        globalThis.standstillMs = Math.max(globalThis.standstillMs, stoodMs);
                    } else {
                        playheadS = video.currentTime;
                        sinceMs = performance.now();
                    }
                }, 50);
            }"""
        )

    async def longest_standstill_s(self) -> float:
        """Of the picture, since `watch_standstills`."""
        return float(await self.page.evaluate("() => globalThis.standstillMs / 1000"))

    async def fetches_at_s(self, url: str) -> list[float]:
        """When segments below a URL were asked for, by the clock on the wall, in order."""
        told: list[float] = await self.page.evaluate(
            """url => performance.getEntriesByType("resource")
                .filter(({ name }) => name.startsWith(url) && /\\.(m4s|mp4)(\\?|$)/.test(name))
                .map(({ startTime }) => (performance.timeOrigin + startTime) / 1000)""",
            url,
        )
        return sorted(told)

    async def until_playhead(self, playhead_s: float) -> None:
        """Until the video has come so far."""
        await self.until("at => document.querySelector('video').currentTime > at", playhead_s)

    async def until(self, condition: str, argument: Any = None) -> None:
        """Until a function of the page is true."""
        await self.page.wait_for_function(condition, arg=argument, timeout=PATIENCE_MS)

    async def choose_subtitles(self, label: str, language: str) -> None:
        """By the page's list, and until one is on the screen."""
        await self.page.select_option("[data-tracks=subtitles]", label=label)
        await self.until_subtitles(language)

    async def until_subtitles(self, language: str) -> None:
        """Until a cue of this language is on the screen."""
        await self.until(
            "language => Array.from(document.querySelector('video').textTracks).some("
            "track => track.language === language && track.mode === 'showing'"
            " && track.activeCues?.length > 0)",
            language,
        )

    async def until_figure(self, name: str, text: str) -> None:
        """Until a figure of the panel says this."""
        await self.until(
            "([name, text]) => "
            "document.querySelector(`[data-figure=${name}]`).textContent.includes(text)",
            [name, text],
        )

    async def figure(self, name: str) -> str:
        """What a figure of the panel says."""
        return await self.page.inner_text(f"[data-figure={name}]")

    async def throttle(self, edge: str, kbps: int) -> None:
        """By the panel."""
        await self.page.select_option(f"[data-edge={edge}] select", str(kbps))
        await self.until(
            "edge => document.querySelector(`[data-edge=${edge}] .state`).textContent"
            ".includes('bit/s')",
            edge,
        )

    async def break_edge(self, edge: str) -> None:
        """By the panel."""
        await self.page.click(f"[data-edge={edge}] [data-action=fault]")
        await self.page.wait_for_selector(f"[data-edge={edge}] .state .bad")

    async def stop(self) -> None:
        """Back to the profile's page; the session is over."""
        async with self.page.expect_response(lambda response: response.request.method == "DELETE"):
            await self.page.click("[data-action=stop]")

    async def message(self) -> str:
        """What stands in place of the picture."""
        await self.page.wait_for_selector(".message:not([hidden])")
        return await self.page.inner_text(".message h2")


@asynccontextmanager
async def open_page(browser: Browser, stack: RunningStack) -> AsyncIterator[PlayerPage]:
    """A tab of its own, and no page error at the end."""
    context = await browser.new_context(
        base_url=stack.url, viewport={"width": 1440, "height": 1000}
    )
    try:
        page = PlayerPage(await context.new_page())
        yield page
        assert page.problems == [], page.problems
    finally:
        await context.close()
