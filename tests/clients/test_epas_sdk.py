"""The unmodified web SDK of EPAS in Chromium, at the real gateway."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Browser

from agents.analytics.session import fold
from streams.topics import PLAYBACK_EVENTS
from tests.clients.epas_sdk.library import FILTER, SDK, VERSION, provide_sdk
from tests.clients.tab import FILM_S, Tab, open_tab
from tests.gateway_fakes import World
from tests.integration.broker import runtime_folder
from tests.unit.gateway.opened import open_session
from tests.unit.gateway.running import running_gateway

pytestmark = pytest.mark.browser

WATCH = """async ([url, options]) => {
    const { PlayerAnalyticsConnector } = await import("SDK");
    const analytics = new PlayerAnalyticsConnector(url);
    await analytics.init(options);
    const video = document.createElement("video");
    document.body.append(video);
    const heard = (name) =>
        new Promise((done) => video.addEventListener(name, done, { once: true }));
    const until = async (second) => {
        while (video.currentTime < second) await heard("timeupdate");
    };
    analytics.load(video);
    video.src = "/film.wav";
    await video.play();
    await until(1);
    analytics.reportBitrateChange({ bitrate: 246.44, height: 136 });
    analytics.reportMetadata({ contentTitle: "Silence", userId: "ada@example.org" });
    video.pause();
    await heard("pause");
    await video.play();
    const sought = heard("seeked");
    video.currentTime = 17.5;
    await sought;
    analytics.reportWarning({ code: "W1", message: "it stutters" });
    await heard("ended");
    await new Promise((done) => setTimeout(done, 300));
    analytics.destroy();
}"""


async def _watch(tab: Tab, files: dict[str, Path], url: str, options: dict[str, Any]) -> None:
    version = json.loads(files[VERSION].read_text())["version"]
    imports = {
        FILTER: "/files/mef.min.js",
        VERSION: f'data:text/javascript,export default {{ version: "{version}" }}',
    }
    await tab.page.evaluate(
        """imports => {
            const map = document.createElement("script");
            map.type = "importmap";
            map.textContent = JSON.stringify({ imports });
            document.head.append(map);
        }""",
        imports | {SDK: "/files/module.js"},
    )
    await tab.page.evaluate(WATCH.replace("SDK", SDK), [url, options])


LOOK_S = 0.02


async def _until_stopped(world: World) -> list[Any]:
    """Its posts are not awaited by the SDK: some may still be on their way."""
    while True:
        events = world.publisher.values(PLAYBACK_EVENTS)
        if any(event.__struct_config__.tag == "stopped" for event in events):
            return sorted(events, key=lambda event: event.sequence)
        await asyncio.sleep(LOOK_S)


@pytest.mark.parametrize("way", ["path", "query"])
async def test_the_sdk_works_unmodified(browser: Browser, way: str) -> None:
    files = provide_sdk(runtime_folder())
    world = World()
    session_id, token = open_session(world)
    async with running_gateway(world) as http:
        root = _root(http)
        url = f"{root}/s/{token}/epas/" if way == "path" else f"{root}/epas/?session_token={token}"
        served = {path.name: path for path in files.values()}
        async with open_tab(browser, "", served) as tab:
            await _watch(tab, files, url, {"sessionId": "sdk-7", "heartbeatInterval": 400})
        events = await _until_stopped(world)
    types = [event.__struct_config__.tag for event in events]
    assert types[0] == "play"
    assert {"buffering", "buffered", "playing", "heartbeat", "pause", "seek", "seeked"} <= {*types}
    assert {"bitrate_changed", "interaction", "warning", "stopped"} <= {*types}
    assert {(event.session_id, event.source) for event in events} == {(session_id, "epas-sdk-7")}
    assert "ada@example.org" not in str(events)
    assert all((event.playhead_ms or 0) <= FILM_S * 1000 for event in events), "it told seconds"
    summary = fold(events, FILM_S * 1000)
    assert summary is not None
    assert summary.end_reason == "ended"
    assert (summary.pause_count, summary.seek_count) == (1, 1)
    assert summary.time_to_first_frame_ms is not None
    assert summary.bitrate_kbps == 246


def _root(http: aiohttp.ClientSession) -> str:
    return str(http._base_url).rstrip("/")
