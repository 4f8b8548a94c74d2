"""One play in Chromium: a session of the wanted arm, a link that follows the recording, a page."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
from msgspec.structs import replace
from playwright.async_api import Browser, Error

from infra.bench.players.results import ARMS, Arm, Results
from infra.bench.players.score import PlayFailedError, Shown, Watched, score_play
from infra.bench.players.title import CONTENT_ID, HEIGHTS, RATES_KBPS
from infra.bench.viewers import open_session, sign_up
from infra.content.encode import SEGMENT_S
from infra.edge.link import LinkState, Recording
from infra.operations.experimenting import start_experiment
from infra.sandbox import Sandbox
from schemas.codec import encode
from schemas.errors import PlayheadError
from schemas.experiments import Arm as ExperimentArm
from schemas.experiments import Experiment
from streams.clock import system_clock
from streams.experiments import NOTICE_MS, draw

LABELS: Final = {"shaka": "Shaka Player", "dashjs": "dash.js", "hlsjs": "hls.js"}
"""How the player page names them to the product."""
SAMPLE_S: Final = 0.1
PATIENCE: Final = 2
"""A play may take so many times its length, and a minute more."""
DRAWS_MAX: Final = 64
PAGE: Final = Path(__file__).with_name("page.js")
ALPHA: Final = 1e-9
"""No arm is to be stopped for the harm that it does: that is what is measured."""


class Theater(msgspec.Struct, frozen=True, kw_only=True):
    """What plays need; `results` say how long they are, and how far ahead they fetch."""

    sandbox: Sandbox
    experiment: Experiment
    results: Results


async def begin_experiment(sandbox: Sandbox) -> Experiment:
    """Half of the sessions get ceilings; returns when it has started."""
    now_ms = system_clock()
    experiment = Experiment(
        name="players",
        subject="bitrate",
        salt="bench-players-salt",
        arms=(
            ExperimentArm(name=ARMS[0], policy="stochastic-mpc", share=0.5),
            ExperimentArm(name=ARMS[1], policy="player", share=0.5),
        ),
        alpha=ALPHA,
        by="bench",
        at_ms=now_ms,
        started_at_ms=now_ms + NOTICE_MS,
    )
    await start_experiment(sandbox.deployment, experiment, dry_run=False)
    await asyncio.sleep(NOTICE_MS / 1000)
    return experiment


async def watch(
    theater: Theater, browser: Browser, player: str, arm: Arm, recording: Recording
) -> Watched:
    """One play to its end, or until patience is over. Raises PlayFailedError, PlayheadError."""
    deployment = theater.sandbox.deployment
    (cdn,) = deployment.cdns()
    async with aiohttp.ClientSession(deployment.gateway_url()) as http:
        session = await _session_of(theater, http, player, arm)
        link_url = f"{cdn.base_url}/_edge/links/{session['session_id']}"
        async with http.put(link_url, data=encode(recording)) as answer:
            answer.raise_for_status()
        shown = await _show(theater, browser, player, session)
        async with http.get(link_url) as answer:
            link = msgspec.json.decode(await answer.read(), type=LinkState)
    kbps_of = dict(zip(HEIGHTS, RATES_KBPS, strict=True))
    watched = score_play(shown, kbps_of, segment_s=SEGMENT_S, sample_s=SAMPLE_S)
    return replace(watched, link_late_s=link.late_ms_max / 1000)


async def _session_of(
    theater: Theater, http: aiohttp.ClientSession, player: str, arm: Arm
) -> dict[str, Any]:
    """Sessions are opened until the experiment draws one for the arm; each has its own account."""
    deployment = theater.sandbox.deployment
    device = {"device_id": "bench", "model": "browser", "player": LABELS[player]}
    for _ in range(DRAWS_MAX):
        (account,) = await sign_up(deployment, 1)
        session = await open_session(deployment, http, account, CONTENT_ID, device)
        drawn = draw(theater.experiment, session["session_id"])
        if drawn is not None and drawn.name == arm:
            return session
    raise PlayheadError(f"no session of {DRAWS_MAX} was drawn for the arm {arm}")


async def _show(theater: Theater, browser: Browser, player: str, session: dict[str, Any]) -> Shown:
    deployment = theater.sandbox.deployment
    given = {
        "player": player,
        "session": session,
        "contentId": CONTENT_ID,
        "cdns": [{"name": cdn.name, "base_url": cdn.base_url} for cdn in deployment.cdns()],
        "bufferS": theater.results.buffer_s,
        "sampleMs": 1000 * SAMPLE_S,
        "patienceMs": 1000 * (PATIENCE * theater.results.seconds + 60),
    }
    script = await asyncio.to_thread(PAGE.read_text)
    context = await browser.new_context(bypass_csp=True)
    try:
        page = await context.new_page()
        await page.goto(f"{deployment.gateway_url()}/livez")
        return msgspec.convert(await page.evaluate(script, given), Shown, strict=False)
    except Error as error:
        raise PlayFailedError(error.message) from error
    finally:
        await context.close()
