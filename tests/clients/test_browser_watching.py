"""What the browser module tells of a video, and of the three players themselves."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser

from agents.analytics.session import fold
from infra.players.library import provide_players
from streams.producer import UnavailableError
from streams.topics import PLAYBACK_EVENTS
from tests.clients.scripted import ScriptedGateway
from tests.clients.tab import FILM_S, SESSION_ID, Tab, open_tab
from tests.gateway_fakes import World
from tests.integration.broker import runtime_folder
from tests.unit.gateway.running import running_gateway

pytestmark = pytest.mark.browser

VIDEO = """(watch) => {
    globalThis.video = document.createElement("video");
    document.body.append(video);
    globalThis.watching = playhead.attach(video, watch);
    video.src = "/film.wav";
    globalThis.heard = (name) =>
        new Promise((done) => video.addEventListener(name, done, { once: true }));
    globalThis.until = async (second) => {
        while (video.currentTime < second) await heard("timeupdate");
    };
}"""
WATCHED = """async () => {
    await video.play();
    await until(0.5);
    video.pause();
    await heard("pause");
    await video.play();
    const sought = heard("seeked");
    video.currentTime = 18;
    await sought;
    watching.interacted("subtitles", "en");
    await heard("ended");
    watching.stop("ended");
}"""


def _events(gateway: ScriptedGateway) -> list[dict[str, Any]]:
    return [json.loads(gateway.stored[identity][0]) for identity in gateway.order]


def _errors(gateway: ScriptedGateway) -> list[dict[str, Any]]:
    return [event for event in _events(gateway) if event["type"] == "error"]


async def test_a_video_is_told_from_the_first_wish_to_the_end(
    tab: Tab, gateway: ScriptedGateway
) -> None:
    await tab.page.evaluate(VIDEO, {})
    await tab.page.evaluate(WATCHED)
    await tab.drain()
    events = _events(gateway)
    types = [event["type"] for event in events if event["type"] != "heartbeat"]
    assert types[:5] == ["play", "playing", "pause", "play", "playing"]
    assert types.count("seek") == types.count("seeked") == 1
    assert types[-1] == "stopped"
    assert types.count("stopped") == 1
    seek = next(event for event in events if event["type"] == "seek")
    assert seek["to_ms"] == 18_000
    assert 500 <= seek["from_ms"] < 5_000
    beats = [event for event in events if event["type"] == "heartbeat"]
    assert len(beats) > 5
    assert beats[0]["buffer_length_ms"] > 0
    assert ("subtitles", "en") in {(event.get("name"), event.get("value")) for event in events}


async def test_a_wish_before_the_session_counts_and_is_told_once(
    tab: Tab, gateway: ScriptedGateway
) -> None:
    await tab.page.evaluate(VIDEO, {"askedAtMs": 1_700_000_000_000})
    await tab.page.evaluate("async () => { await video.play(); await until(0.1); }")
    await tab.drain()
    plays = [event for event in _events(gateway) if event["type"] == "play"]
    assert [play["at"] for play in plays] == ["2023-11-14T22:13:20Z"]


async def test_a_player_that_tells_of_waiting_is_believed_instead_of_the_element(
    tab: Tab, gateway: ScriptedGateway
) -> None:
    await tab.page.evaluate(VIDEO, {})
    await tab.page.evaluate(
        """async () => {
            watching.waits(true);
            await video.play();
            await until(0.1);
            watching.waits(false);
            watching.waits(true);
            globalThis.stalled = watching.isStalled;
            video.dispatchEvent(new Event("playing"));
            watching.waits(false);
            video.dispatchEvent(new Event("waiting"));
        }"""
    )
    await tab.drain()
    types = [event["type"] for event in _events(gateway) if event["type"].startswith("buffer")]
    assert types == ["buffered", "buffering", "buffered"]
    assert await tab.get("stalled") is True


async def test_a_film_that_cannot_be_read_is_an_error(tab: Tab, gateway: ScriptedGateway) -> None:
    await tab.page.evaluate(VIDEO, {})
    await tab.page.evaluate(
        """async () => {
            const failed = heard("error");
            video.src = "/web/playhead.js";
            await failed;
        }"""
    )
    await tab.drain()
    (error,) = _errors(gateway)
    assert (error["code"], error.get("is_fatal", True)) == ("media 4", True)


PLAYERS = {
    "shaka": """async () => {
        const player = new shaka.Player();
        await player.attach(video);
        // What load() meets it raises; what comes later it tells.
        const { Severity, Category, Code } = shaka.util.Error;
        const error = new shaka.util.Error(
            Severity.CRITICAL, Category.NETWORK, Code.BAD_HTTP_STATUS,
        );
        const event = new shaka.util.FakeEvent("error", new Map([["detail", error]]));
        return [player, () => player.dispatchEvent(event)];
    }""",
    "dashjs": """async () => {
        const player = dashjs.MediaPlayer().create();
        player.initialize(video, null, false);
        player.updateSettings({ debug: { logLevel: 0 } });
        return [player, () => player.attachSource("/web/no.mpd")];
    }""",
    "hlsjs": """async () => {
        const player = new Hls();
        player.attachMedia(video);
        return [player, () => player.loadSource("/web/no.m3u8")];
    }""",
}
CODES = {"shaka": "shaka 1001", "dashjs": "dashjs 25", "hlsjs": "hlsjs manifestLoadError"}


@pytest.fixture
async def player_tab(browser: Browser, gateway: ScriptedGateway) -> AsyncIterator[Tab]:
    files = {path.name: path for path in provide_players(runtime_folder()).values()}
    async with open_tab(browser, f"{gateway.url}/s/token/events", files) as opened:
        for name in files:
            await opened.page.add_script_tag(url=f"/files/{name}")
        yield opened


@pytest.mark.parametrize("name", PLAYERS)
async def test_the_players_themselves_may_be_attached_to(
    player_tab: Tab, gateway: ScriptedGateway, name: str
) -> None:
    """Real players, whose own errors come through; without a manifest nothing can be played."""
    await player_tab.page.evaluate(
        """async make => {
            globalThis.video = document.createElement("video");
            document.body.append(video);
            const [player, load] = await eval(make)();
            const watching = playhead.attach(player);
            globalThis.isVideo = watching.watch.video === video;
            await load();
        }""",
        PLAYERS[name],
    )
    await gateway.until(lambda: _errors(gateway) != [])
    error = _errors(gateway)[0]
    assert (error["code"], error.get("is_fatal", True)) == (CODES[name], True)
    assert await player_tab.get("isVideo")


@pytest.mark.parametrize("outcome", ["not_stored", "unknown"])
async def test_at_the_real_gateway_a_session_folds_to_what_was_watched(
    browser: Browser, outcome: str
) -> None:
    world = World()
    claims = world.session_claims(sid=SESSION_ID)
    async with running_gateway(world) as http:
        url = str(http._base_url).rstrip("/")
        events_url = f"{url}/s/{world.session_token(claims)}/events"
        async with open_tab(browser, events_url) as tab:
            world.publisher.away = UnavailableError(outcome, "away")  # type: ignore[arg-type]  # by its text
            await tab.page.evaluate(VIDEO, {})
            await tab.page.evaluate(WATCHED)
            await tab.page.evaluate("playhead.flush()")
            assert await tab.get("playhead.accepted") == 0
            world.publisher.away = None
            await tab.drain()
            accepted = await tab.get("playhead.accepted")
    events = world.publisher.values(PLAYBACK_EVENTS)
    assert len({event.sequence for event in events}) == len(events) == accepted
    summary = fold(events, FILM_S * 1000)
    assert summary is not None
    assert summary.end_reason == "ended"
    assert (summary.pause_count, summary.seek_count) == (1, 1)
