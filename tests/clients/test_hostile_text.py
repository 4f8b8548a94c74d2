"""The console and the player page in Chromium, told markup and scripts wherever text may stand.

What viewers, players, titles and CDNs say reaches these pages through the gateway's answers: here
every text of every answer is hostile, under the real pages and their real policy.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace
from playwright.async_api import Browser, Page, Route, expect

from tests.clients.tab import WEB
from tests.gateway_fakes import World
from tests.unit.gateway.running import running_gateway

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

EVIL = "\"'></script><script>ran()</script><img src=x onerror=ran()><svg/onload=ran()>{{ran()}}"
WATCHED = """() => {
    globalThis.found = [];
    globalThis.ran = () => found.push("a script of the text ran");
    addEventListener("securitypolicyviolation", ({ blockedURI, violatedDirective }) =>
        found.push(`${violatedDirective} ${blockedURI}`));
}"""
PLANTED = """() => [...found, ...document.querySelectorAll(
    "script:not([src]), [onerror], [onload], img[src='x'], iframe, object"
)].map(String)"""

PLAYS = {
    "running_count": 1,
    "session_count": 1,
    "failed_count": 0,
    "time_to_first_frame_p50_ms": 1.0,
    "time_to_first_frame_p95_ms": 1.0,
    "rebuffer_ratio": 0.0,
    "average_bitrate_kbps": 1.0,
}
COUNTS = dict.fromkeys(
    (
        *("accepted", "refused", "unavailable", "shed"),
        *("stored", "duplicates", "conflicts", "dead_letters"),
    ),
    1,
)
OVERVIEW = {
    "stored": {
        "plays": PLAYS,
        "decisions": [{"outcome": EVIL, "reason": EVIL, "count": 1}],
        "topics": [{"topic": EVIL, **COUNTS, "complete_until_ms": None}],
    },
    "steering": {
        "order": [EVIL],
        "facts": [{"cdn": EVIL, "requests": 1, "errors": 0, "throughput_kbps": 1}],
        "reason": EVIL,
        "decided_at_ms": 1,
    },
    "title_count": 1,
}
PROFILE = {"profile_id": "p", "name": EVIL, "language": "en", "maturity": 18, "pin_set_at_ms": None}
TITLE = {
    "content_id": "c",
    "title": EVIL,
    "description": EVIL,
    "genres": [EVIL],
    "duration_ms": 1,
    "poster_url": "",
    "year": 2026,
    "maturity": 0,
    "language": EVIL,
    "heights": [720],
    "audio_languages": [EVIL],
    "subtitle_languages": [EVIL],
}
ITEM = {"content_id": "c", "title": EVIL, "reason": EVIL, "playhead_ms": None}
STORED_EVENT = {
    "type": EVIL,
    "via": "sdk",
    "at_ms": 1,
    "detail": EVIL,
    "bitrate_kbps": None,
    "cdn": EVIL,
    "kafka_partition": 0,
    "kafka_offset": 0,
}
LICENSE = {
    "decided_at_ms": 1,
    "action": "license",
    "outcome": EVIL,
    "reason": EVIL,
    "system": EVIL,
    "tiers": [EVIL],
    "key_ids_asked": [EVIL],
    "key_ids_granted": [],
    "policy_version": EVIL,
}
SHOW_CARDS = """async () => {
    const { StoredCard } = await import("/web/panel/stored.js");
    const { LicenseCard } = await import("/web/panel/license.js");
    const license = new LicenseCard();
    const stored = new StoredCard((licenses) => license.show(licenses));
    document.body.append(stored.node, license.node);
    stored.follow({ events_url: "/s/token/events" });
}"""


@asynccontextmanager
async def told(browser: Browser, answers: Mapping[str, Any]) -> AsyncIterator[Page]:
    """A tab on the gateway's own pages; by the end of a path, what the gateway says."""
    world = World()
    world.config = replace(world.config, web_folder=WEB)
    async with running_gateway(world) as client:
        page = await browser.new_page(base_url=str(client._base_url))
        await page.add_init_script(f"({WATCHED})()")
        for path, answer in answers.items():
            await _answer(page, path, answer)
        try:
            yield page
            assert await page.evaluate(PLANTED) == []
        finally:
            await page.close()


async def _answer(page: Page, path: str, answer: Any) -> None:
    async def fulfill(route: Route) -> None:
        await route.fulfill(json=answer)

    await page.route(re.compile(rf"{re.escape(path)}(\?|$)"), fulfill)


async def _signed_in(page: Page) -> None:
    await page.fill("input[type=email]", "ada@example.org")
    await page.fill("input[type=password]", "correct horse")
    await page.click("button[type=submit]")


async def test_the_console_shows_what_is_hostile_as_text(browser: Browser) -> None:
    async with told(browser, {"/v1/admin/overview": OVERVIEW}) as page:
        await page.goto("/console")
        await page.fill("input[name=token]", "token")
        await page.click("button[type=submit]")
        for name in ("decisions", "ledger", "steering"):
            await expect(page.locator(f"[data-card={name}] tbody")).to_contain_text(EVIL)
        await expect(page.locator("[data-card=steering] p")).to_contain_text(EVIL)


async def test_the_player_page_shows_what_is_hostile_as_text(browser: Browser) -> None:
    answers = {
        "/v1/tokens": {"access_token": "a", "refresh_token": "r", "expires_in": 900},
        "/v1/account": {"account_id": "a", "plan": EVIL, "profiles": [PROFILE]},
        "/v1/titles": {"titles": [TITLE], "next_cursor": ""},
        "/recommendations": {"rows": [{"row": EVIL, "reason": EVIL, "items": [ITEM]}]},
    }
    async with told(browser, answers) as page:
        await page.goto("/")
        await _signed_in(page)
        await page.click(".profile")
        await expect(page.locator(".hero h1")).to_have_text(EVIL)
        await expect(page.locator(".row h2").first).to_have_text(EVIL)
        await page.click(".hero button")
        await expect(page.locator("dialog")).to_contain_text(EVIL)


async def test_stored_events_and_decisions_are_shown_as_text(browser: Browser) -> None:
    answers = {"/stored": {"events": [STORED_EVENT], "licenses": [LICENSE], "quality": None}}
    async with told(browser, answers) as page:
        await page.goto("/")
        await page.evaluate(SHOW_CARDS)
        await expect(page.locator("[data-card=stored] .type")).to_have_text(EVIL)
        await expect(page.locator("[data-card=stored] .detail")).to_contain_text(EVIL)
        await expect(page.locator("[data-card=license] .keys")).to_contain_text(EVIL)
