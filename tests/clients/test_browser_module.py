"""`gateway/web/playhead.js` in Chromium, against a gateway that fails in every way."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
from typing import Any

import pytest

from tests.clients.scripted import (
    EVERY_FAILURE,
    ScriptedGateway,
    at_most,
    busy_for,
    hang,
    no_gzip,
    not_stored,
    refuse,
    reset_after,
    reset_before,
    unauthorized,
    unknown_and_lost,
)
from tests.clients.tab import WEB, Tab

pytestmark = pytest.mark.browser

GZIPPED_BYTES_MAX = 6 << 10
SEED = 4


def test_the_module_is_small_and_needs_nothing() -> None:
    source = (WEB / "playhead.js").read_bytes()
    assert len(gzip.compress(source, 9, mtime=0)) <= GZIPPED_BYTES_MAX
    assert b"import " not in source.replace(b"import { Playhead }", b"")


def _require_all(gateway: ScriptedGateway, count: int) -> None:
    """Each one once, the sequence without a gap and in order."""
    gateway.require_each_once(_ids(gateway))
    assert [sequence for _, _, sequence in gateway.order] == list(range(count))


def _ids(gateway: ScriptedGateway) -> set[str]:
    return {json.loads(sent[0])["id"] for sent in gateway.stored.values()}


async def test_after_any_failure_the_same_events_come_again(
    tab: Tab, gateway: ScriptedGateway
) -> None:
    for count, way in enumerate(EVERY_FAILURE, 1):
        gateway.will(way)
        await tab.report(10)
        await tab.drain()
        assert gateway.ways[way.__name__] == 1
        _require_all(gateway, 10 * count)
    assert await tab.get("playhead.accepted") == 10 * len(EVERY_FAILURE)
    await tab.until("playhead.pending === 0")
    assert await tab.kept() == 0


async def test_any_row_of_failures_loses_and_doubles_nothing(
    tab: Tab, gateway: ScriptedGateway
) -> None:
    choose = random.Random(SEED)
    gateway.will(*(choose.choice((*EVERY_FAILURE, at_most(3), no_gzip)) for _ in range(60)))
    count = 0
    while gateway.script:
        more = choose.randrange(1, 20)
        await tab.report(more)
        count += more
        await tab.drain()
    _require_all(gateway, count)
    assert len(gateway.ways) > 8, "the script met most ways"


async def test_it_tries_again_by_itself(tab: Tab, gateway: ScriptedGateway) -> None:
    gateway.will(reset_before, not_stored)
    await tab.report(3)
    await tab.until("playhead.pending === 0")
    _require_all(gateway, 3)
    assert len(gateway.headers) == 3


async def test_a_hanging_gateway_is_given_up_and_asked_again(
    tab: Tab, gateway: ScriptedGateway
) -> None:
    await tab.start(answerMs=300)
    gateway.will(hang)
    await tab.report(3)
    await tab.drain()
    _require_all(gateway, 3)
    assert gateway.batches[0] == gateway.batches[1]


async def test_retry_after_is_waited_for(tab: Tab, gateway: ScriptedGateway) -> None:
    gateway.will(busy_for(3))
    loop = asyncio.get_running_loop()
    await tab.report(1)
    await gateway.until_posts(1)
    refused_at_s = loop.time()
    await gateway.until_posts(2)
    assert loop.time() - refused_at_s >= 2.9


async def test_what_may_be_stored_goes_again_as_it_was_cut(
    tab: Tab, gateway: ScriptedGateway
) -> None:
    for way, sizes in ((unknown_and_lost, [2, 2, 1]), (not_stored, [2, 3])):
        gateway.batches.clear()
        gateway.will(way)
        await tab.report(2)
        await tab.page.evaluate("playhead.flush()")
        await tab.report(1)
        await tab.drain()
        assert [len(batch) for batch in gateway.batches] == sizes
    _require_all(gateway, 6)


async def test_a_refused_event_is_told_and_does_not_come_again(
    tab: Tab, gateway: ScriptedGateway
) -> None:
    gateway.will(refuse(1, 3), refuse(0))
    await tab.report(5)
    await tab.drain()
    await tab.report(1)
    await tab.drain()
    told = await tab.get("lines")
    assert [why for _, why in told] == ["schema"] * 3
    first, second = gateway.batches
    assert [event_id for event_id, _ in told] == [first[1], first[3], second[0]]
    gateway.require_each_once([first[0], first[2], first[4]])
    assert (await tab.get("[playhead.accepted, playhead.refused]")) == [3, 3]
    assert await tab.kept() == 0


async def test_an_event_that_is_refused_for_now_comes_again(
    tab: Tab, gateway: ScriptedGateway
) -> None:
    gateway.will(refuse(1, status=503))
    await tab.report(3)
    await tab.drain()
    assert gateway.batches[1] == [gateway.batches[0][1]]
    gateway.require_each_once(gateway.batches[0])


async def test_a_refused_token_is_not_tried_in_a_hurry_and_may_be_replaced(
    tab: Tab, gateway: ScriptedGateway
) -> None:
    gateway.will(*[unauthorized] * 50)
    await tab.report(2)
    await gateway.until_posts(1)
    await tab.report(2)
    await asyncio.sleep(2.5)  # nothing may happen: there is no event to wait for
    assert len(gateway.headers) == 1
    gateway.script.clear()
    await tab.page.evaluate("url => { playhead.eventsUrl = url; }", f"{gateway.url}/s/new/events")
    await tab.drain()
    _require_all(gateway, 4)


async def test_batches_shrink_to_what_a_proxy_lets_through(
    tab: Tab, gateway: ScriptedGateway
) -> None:
    gateway.will(*[at_most(3)] * 40)
    await tab.report(20)
    await tab.drain()
    _require_all(gateway, 20)


async def test_batches_are_compressed_unless_that_is_refused(
    tab: Tab, gateway: ScriptedGateway
) -> None:
    await tab.report(100)
    await tab.drain()
    gateway.will(no_gzip)
    await tab.report(20)
    await tab.drain()
    await tab.report(20)
    await tab.drain()
    encodings = [sent.get("Content-Encoding") for sent in gateway.headers]
    assert encodings == ["gzip", "gzip", None, None]
    assert int(gateway.headers[0]["Content-Length"]) < 100 * 100, "a third of what it holds"
    _require_all(gateway, 140)


async def test_events_wait_while_the_browser_is_offline(tab: Tab, gateway: ScriptedGateway) -> None:
    await tab.context.set_offline(True)
    await tab.report(5)
    await tab.page.evaluate("playhead.flush()")
    assert (len(gateway.headers), await tab.get("playhead.pending")) == (0, 5)
    await tab.context.set_offline(False)
    await tab.until("playhead.pending === 0")
    _require_all(gateway, 5)


async def test_what_an_earlier_page_left_comes_again_after_a_reload(
    tab: Tab, gateway: ScriptedGateway
) -> None:
    gateway.will(*[unknown_and_lost] * 100)
    await tab.report(30)
    await gateway.until_posts(1)
    await tab.page.reload()
    gateway.script.clear()
    await tab.start()
    await tab.report(2)
    await tab.drain()
    await tab.page.evaluate("async () => { recover(); await recovered; }")
    gateway.require_each_once(_ids(gateway))
    by_source: dict[str, list[int]] = {}
    for _, source, sequence in gateway.order:
        by_source.setdefault(source, []).append(sequence)
    assert sorted(map(len, by_source.values())) == [2, 30]
    assert all(found == sorted(found) for found in by_source.values())
    assert await tab.kept() == 0


async def test_a_killed_page_leaves_its_events_to_the_next(
    tab: Tab, gateway: ScriptedGateway
) -> None:
    """A crash: nothing is told, in flight are events that are stored and events that are not."""
    gateway.will(reset_after, *[unknown_and_lost] * 100)
    await tab.report(150)
    await gateway.until_posts(2)
    crashed = tab.page
    tab.page = await tab.context.new_page()
    await tab.page.goto(crashed.url)
    session = await tab.context.new_cdp_session(crashed)
    crashing = asyncio.ensure_future(session.send("Page.crash"))
    await crashed.wait_for_event("crash")
    crashing.cancel()
    gateway.script.clear()
    await tab.start()
    await tab.page.evaluate("async () => { recover(); await recovered; }")
    _require_all(gateway, 150)
    assert await tab.kept() == 0


async def test_a_page_that_goes_away_hands_over_what_waits(
    tab: Tab, gateway: ScriptedGateway
) -> None:
    await tab.page.evaluate(
        """async () => {
            const video = document.createElement("video");
            video.src = "/film.wav";
            document.body.append(video);
            globalThis.watching = playhead.attach(video);
            await video.play();
            while (playhead.pending === 0 || video.currentTime < 0.1) {
                await new Promise(requestAnimationFrame);
            }
            await playhead.flush();
            watching.interacted("subtitles", "en");
        }"""
    )
    await tab.page.goto("about:blank")
    await gateway.until(lambda: _types(gateway)[-1:] == ["stopped"])
    assert "interaction" in _types(gateway)
    assert gateway.headers[-1]["Content-Type"].startswith("text/plain")
    gateway.require_each_once(_ids(gateway))


async def test_a_tab_in_the_background_does_not_wait(tab: Tab, gateway: ScriptedGateway) -> None:
    await _hide(tab, "hidden")
    await tab.report(2)
    await tab.until("playhead.pending === 0")
    assert gateway.headers[0]["Content-Type"].startswith("text/plain")
    _require_all(gateway, 2)


async def test_a_hand_over_that_failed_is_sent_again(tab: Tab, gateway: ScriptedGateway) -> None:
    gateway.will(reset_after)
    await tab.report(2)
    await _hide(tab, "hidden")
    await gateway.until_posts(1)
    await tab.until("playhead.pending === 0")
    _require_all(gateway, 2)


async def _hide(tab: Tab, state: str) -> None:
    await tab.page.evaluate(
        """state => {
            const told = { configurable: true, value: state };
            Object.defineProperty(document, "visibilityState", told);
            document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
        }""",
        state,
    )


async def test_other_tabs_keep_theirs(tab: Tab, gateway: ScriptedGateway) -> None:
    gateway.will(busy_for(600))
    await tab.report(3)
    await gateway.until_posts(1)
    other = await tab.context.new_page()
    await other.goto(tab.page.url)
    second = Tab(other, tab.context, tab.events_url)
    await second.start()
    await other.evaluate("async () => { recover(); await recovered; }")
    assert len(gateway.headers) == 1
    await tab.page.close()
    await other.evaluate("async () => { recover(); await recovered; }")
    _require_all(gateway, 3)


async def test_the_queue_is_bounded_and_heartbeats_give_way(
    tab: Tab, gateway: ScriptedGateway
) -> None:
    await tab.start(eventsMax=10)
    gateway.will(*[not_stored] * 100)
    await tab.report(8)
    await tab.page.evaluate("() => { for (let n = 0; n < 12; n += 1) playhead.report('pause'); }")
    await tab.report(5)
    assert await tab.get("[playhead.pending, playhead.dropped]") == [10, 15]
    gateway.script.clear()
    await tab.drain()
    assert _types(gateway) == ["pause"] * 10
    assert await tab.kept() == 0


async def test_without_a_database_events_are_kept_in_memory(
    tab: Tab, gateway: ScriptedGateway
) -> None:
    """As in a private window of some browsers."""
    await tab.page.add_init_script(
        """IDBFactory.prototype.open = function () {
            const request = {};
            setTimeout(() => request.onerror(new Event("error")));
            return request;
        };"""
    )
    await tab.page.reload()
    await tab.start()
    gateway.will(not_stored)
    await tab.report(5)
    await tab.drain()
    _require_all(gateway, 5)


def _types(gateway: ScriptedGateway) -> list[Any]:
    return [json.loads(gateway.stored[identity][0])["type"] for identity in gateway.order]
