"""Bitrate and steering agents on the real broker: measurements in, decisions out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from agents.analytics.pace import Pace
from agents.analytics.windows import Window
from agents.bitrate.agent import BitrateAgent
from agents.bitrate.tape import DOWNLOADS_MAX
from agents.steering.agent import SteeringAgent
from agents.steering.outcomes import CdnOrigin
from infra.operations.shadow.bitrate import bitrate_rules
from infra.operations.shadow.reading import ShadowReader
from infra.operations.shadow.rules import Rules
from infra.operations.shadow.run import ShadowReport, ShadowRun
from infra.operations.shadow.steering import steering_rules
from schemas.bitrate import BitrateDecision
from schemas.steering import CdnSettings, SteeringDecision
from streams.broker import Broker
from streams.clock import system_clock
from streams.lag import read_lags
from streams.topics import (
    BITRATE_DECISIONS,
    BITRATE_POPULATION,
    CATALOG_TITLES,
    CDN_SETTINGS,
    EXPERIMENTS,
    GATEWAY_REPLIES,
    PLAYBACK_BANDWIDTH,
    PLAYBACK_EVENTS,
    SESSIONS,
    SIGNING_KEYS,
    STEERING_DECISIONS,
)
from streams.view import View
from tests.builders import SESSION_ID, a_bandwidth, a_session, a_title
from tests.integration.commands import eventually
from tests.integration.house import House, a_house

TOPICS = (
    PLAYBACK_BANDWIDTH,
    PLAYBACK_EVENTS,
    SESSIONS,
    CATALOG_TITLES,
    GATEWAY_REPLIES,
    BITRATE_DECISIONS,
    BITRATE_POPULATION,
    STEERING_DECISIONS,
    CDN_SETTINGS,
    SIGNING_KEYS,
    EXPERIMENTS,
)
CDNS = (
    CdnOrigin(name="alpha", url="http://127.0.0.1:8081"),
    CdnOrigin(name="beta", url="http://localhost:8082"),
)


class Viewer:
    """A player that reports one segment after the other."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._sequence = 0

    async def fetch(self, kbps: int, *, times: int) -> None:
        for _ in range(times):
            self._sequence += 1
            event = a_bandwidth(
                self._sequence,
                object_type="v",
                object_bytes=250_000,
                transfer_ms=max(1, 2_000_000 // kbps),
                status=200,
                buffer_length_ms=12_000,
                url=f"http://127.0.0.1:8081/tears/v720/{self._sequence}.m4s",
            )
            await self._house.publisher.publish(PLAYBACK_BANDWIDTH, SESSION_ID, event)

    async def fail(self, status: int, *, times: int) -> None:
        for _ in range(times):
            self._sequence += 1
            url = "http://127.0.0.1:8081/tears/v720/1.m4s"
            event = a_bandwidth(self._sequence, status=status, url=url)
            await self._house.publisher.publish(PLAYBACK_BANDWIDTH, SESSION_ID, event)


@pytest.fixture
async def house(broker: Broker, tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(broker, tmp_path, topics=TOPICS) as house:
        await house.put_title(a_title())
        now_ms = system_clock()
        session = a_session(opened_at_ms=now_ms, expires_at_ms=now_ms + 3_600_000)
        await house.publisher.publish(SESSIONS, SESSION_ID, session)
        yield house


@asynccontextmanager
async def the_ceilings(house: House) -> AsyncIterator[View[BitrateDecision]]:
    view: View[BitrateDecision] = View(house.broker, BITRATE_DECISIONS, clock=system_clock)
    await view.start()
    try:
        yield view
    finally:
        await view.stop()


def height_of(ceilings: View[BitrateDecision]) -> int | None:
    decision = ceilings.get(SESSION_ID)
    return None if decision is None else decision.height


async def test_a_ceiling_follows_the_network_and_a_restart_goes_on_counting(house: House) -> None:
    viewer = Viewer(house)
    async with the_ceilings(house) as ceilings:
        async with house.working(BitrateAgent(house.ports)):
            await viewer.fetch(50_000, times=3)
            assert await ceilings.wait_until(lambda: height_of(ceilings) == 1080, 20_000)
            await viewer.fetch(400, times=2)
            assert await ceilings.wait_until(lambda: height_of(ceilings) == 240, 10_000)
            lowered = ceilings.get(SESSION_ID)
            assert lowered is not None
            assert lowered.reason == "throughput-fell"
            assert lowered.ceiling_kbps == 428
            assert (lowered.source_topic, lowered.version) == (PLAYBACK_BANDWIDTH.name, 2)
        async with house.working(BitrateAgent(house.ports)):
            await viewer.fetch(50_000, times=6)
            assert await ceilings.wait_until(lambda: height_of(ceilings) == 1080, 20_000)
            raised = ceilings.get(SESSION_ID)
            assert raised is not None
            assert (raised.version, raised.reason) == (3, "throughput-rose")
    versions = [decision.version for decision in await house.records(BITRATE_DECISIONS)]
    assert versions == [1, 2, 3]
    assert house.halted == []


async def test_what_was_learned_of_a_network_outlives_its_worker(house: House) -> None:
    viewer = Viewer(house)

    async def is_read() -> bool:
        lags = await read_lags(house.broker, ["bitrate"], system_clock())
        told = [lag.consumer_lag for lag in lags if lag.topic == PLAYBACK_BANDWIDTH.name]
        return told == [0]

    async with the_ceilings(house) as ceilings:
        async with house.working(BitrateAgent(house.ports)):
            await viewer.fetch(50_000, times=DOWNLOADS_MAX + 2)
            assert await ceilings.wait_until(lambda: height_of(ceilings) == 1080, 20_000)
            await eventually(is_read)
        told = await house.records(BITRATE_POPULATION)
        assert {block.memory for block in told} == {"situations", "starts"}
        async with house.working(BitrateAgent(house.ports)):
            await viewer.fetch(400, times=6)
            assert await ceilings.wait_until(lambda: height_of(ceilings) != 1080, 20_000)
    decisions = await house.records(BITRATE_DECISIONS)
    assert decisions[0].facts.population_share == 0.0, "nobody was there before"
    assert decisions[-1].facts.population_share > 0.0


async def test_a_device_that_shows_less_is_sent_no_more(house: House) -> None:
    small = a_session(max_height=480)
    await house.publisher.publish(SESSIONS, SESSION_ID, small)
    async with the_ceilings(house) as ceilings, house.working(BitrateAgent(house.ports)):
        await Viewer(house).fetch(50_000, times=3)
        assert await ceilings.wait_until(lambda: height_of(ceilings) == 480, 20_000)


async def test_an_ended_or_unknown_session_gets_no_decision(house: House) -> None:
    ended = msgspec.structs.replace(a_session(), ended_at_ms=system_clock())
    await house.publisher.publish(SESSIONS, SESSION_ID, ended)
    async with house.working(BitrateAgent(house.ports)) as app:
        await Viewer(house).fetch(50_000, times=3)
        await house.publisher.publish(PLAYBACK_BANDWIDTH, "other", b"no event")
        view: View[bytes] = View(house.broker, PLAYBACK_BANDWIDTH.dead_letters, clock=system_clock)
        await view.start()
        assert await view.wait_until(lambda: len(view) == 1, 20_000)
        await view.stop()
        assert app.started
    assert await house.records(BITRATE_DECISIONS) == []


async def test_errors_of_a_cdn_flip_the_order_and_a_restart_keeps_it(house: House) -> None:
    orders: View[SteeringDecision] = View(house.broker, STEERING_DECISIONS, clock=system_clock)
    await orders.start()
    viewer = Viewer(house)

    def order() -> tuple[str, ...]:
        decision = orders.get("*")
        return () if decision is None else decision.order

    async with house.working(SteeringAgent(house.ports, CDNS)):
        assert await orders.wait_until(lambda: order() == ("alpha", "beta"), 10_000)
        await viewer.fetch(9000, times=2)
        await viewer.fail(503, times=3)
        assert await orders.wait_until(lambda: order() == ("beta", "alpha"), 20_000)
        decision = orders.get("*")
        assert decision is not None
        assert decision.facts[0].errors == 3
        assert decision.reason == "alpha-failed"
    async with house.working(SteeringAgent(house.ports, CDNS)):
        pass
    await orders.stop()
    versions = [decision.version for decision in await house.records(STEERING_DECISIONS)]
    assert versions == [1, 2]
    report = await shadowed(house, steering_rules(CDNS), warms_up=True)
    assert (report.read, report.warmed_up, report.decided, report.agreed) == (5, 1, 1, 1)


async def test_a_drained_cdn_is_left_by_everybody_and_by_those_who_watch(house: House) -> None:
    plans: View[SteeringDecision] = View(house.broker, STEERING_DECISIONS, clock=system_clock)
    await plans.start()

    def shares() -> dict[str, float]:
        decision = plans.get("/0")
        return {} if decision is None else decision.shares

    async with house.working(SteeringAgent(house.ports, CDNS)):
        settings = CdnSettings(cdn="alpha", price_per_gb=0.01)
        await house.publisher.publish(CDN_SETTINGS, "alpha", settings)
        await Viewer(house).fetch(9000, times=2)
        assert await plans.wait_until(lambda: shares().get("beta", 0.0) > 0.9, 20_000)
        drained = msgspec.structs.replace(settings, is_drained=True)
        await house.publisher.publish(CDN_SETTINGS, "alpha", drained)
        assert await plans.wait_until(lambda: shares() == {"alpha": 0.0, "beta": 1.0}, 20_000)
        everybody = plans.get("*")
        assert everybody is not None
        assert everybody.order == ("beta", "alpha")
    await plans.stop()
    assert house.halted == []


async def test_a_shadow_chooses_the_ceilings_that_were_chosen_and_publishes_none(
    house: House,
) -> None:
    viewer = Viewer(house)
    async with the_ceilings(house) as ceilings, house.working(BitrateAgent(house.ports)):
        await viewer.fetch(50_000, times=3)
        assert await ceilings.wait_until(lambda: height_of(ceilings) == 1080, 20_000)
        middle = len(await house.records(PLAYBACK_BANDWIDTH))
        await viewer.fetch(400, times=2)
        assert await ceilings.wait_until(lambda: height_of(ceilings) == 240, 10_000)
    ended = msgspec.structs.replace(a_session(), ended_at_ms=system_clock() + 60_000)
    await house.publisher.publish(SESSIONS, SESSION_ID, ended)  # it was open then
    report = await shadowed(house, bitrate_rules(), warms_up=False)
    assert (report.read, report.decided, report.agreed) == (5, 2, 2)
    late = Window(from_offset=middle)
    report = await shadowed(house, bitrate_rules(), late, warms_up=True)
    assert (report.read, report.warmed_up, report.decided) == (2, 1, 1)
    assert [(each.was, each.would_be) for each in report.differences] == []
    assert len(await house.records(BITRATE_DECISIONS)) == 2


async def shadowed(
    house: House, rules: Rules, window: Window | None = None, *, warms_up: bool
) -> ShadowReport:
    """A dry run."""
    assert house.ports.state_key is not None
    reader = ShadowReader(house.broker, house.ports.state_key)
    run = ShadowRun(reader, None, rules, lambda _: None, pace=Pace())
    return await run.run(PLAYBACK_BANDWIDTH, window or Window(), warms_up=warms_up)
