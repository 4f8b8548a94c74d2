"""`/console/operations` in a browser: the dry run is shown before there is a button."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from tests.e2e.player_page import PATIENCE_MS
from tests.e2e.stack import RunningStack

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
REPLAY = "[data-card=replay]"


async def test_an_operator_sees_a_dry_run_before_the_button(
    browser: Browser, stack: RunningStack
) -> None:
    page = await browser.new_page(base_url=stack.url)
    page.set_default_timeout(PATIENCE_MS)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    try:
        token = await stack.playhead("admin", "token", "create", "--role", "operator")
        await page.goto("/console/operations")
        await page.fill("input[name=token]", token.strip())
        await page.click("button[type=submit]")
        await page.wait_for_selector("[data-card=lag] tbody tr")
        await page.wait_for_selector("[data-card=doctor] tbody tr")
        await page.select_option(f"{REPLAY} select[name=topic]", "sessions.v1")
        await page.fill(f"{REPLAY} input[name=start]", "1h")
        assert await page.locator(f"{REPLAY} .plan button").count() == 0
        await page.click(f"{REPLAY} button[type=submit]")
        plan = page.locator(f"{REPLAY} .plan")
        await expect(plan).to_contain_text("--dry-run", timeout=PATIENCE_MS)
        await expect(plan.locator("td").first).to_be_visible()
        await plan.locator("button").click()
        await expect(plan).not_to_contain_text("--dry-run", timeout=PATIENCE_MS)
        await expect(plan).to_contain_text("playhead replay sessions.v1", timeout=PATIENCE_MS)
        assert await plan.locator("button").count() == 0
        await expect(page.locator(f"{REPLAY} > table")).to_contain_text("sessions.v1")
        await page.fill(f"{REPLAY} input[name=start]", "no time")
        await page.click(f"{REPLAY} button[type=submit]")
        await expect(plan.locator(".bad")).to_be_visible(timeout=PATIENCE_MS)
        assert await plan.locator("button").count() == 0
        assert wrong == []
    finally:
        await page.close()
