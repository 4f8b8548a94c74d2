"""What CDNs cost, by what their logs and players told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from infra.operations.cdn_costs import read_costs
from schemas.events import Bandwidth, Stamp
from schemas.steering import CdnSettings
from streams.broker import Broker
from streams.clock import system_clock
from streams.topics import PLAYBACK_BANDWIDTH
from tests.builders import a_bandwidth
from tests.integration.analytics_stage import Stage, a_session_id, a_stage, an_engine

TOPICS = (PLAYBACK_BANDWIDTH,)
MINUTE_MS = 60_000
GB = 1_000_000_000


@pytest.fixture(scope="module")
async def stage(kafka: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    broker = Broker(bootstrap=kafka.bootstrap, namespace="costs")
    folder = tmp_path_factory.mktemp("engine")
    async with an_engine(folder) as engine, a_stage(broker, engine, topics=TOPICS) as stage:
        yield stage


async def test_traffic_above_the_commit_costs_and_what_is_told_twice_counts_once(
    stage: Stage,
) -> None:
    session, minute_ms = a_session_id(), (system_clock() // MINUTE_MS - 10) * MINUTE_MS

    def logged(number: int, cdn: str, at_ms: int, **changes: Any) -> Bandwidth:
        stamp = Stamp(received_at_ms=at_ms, via="edge")
        event = {"session_id": session, "source": "edge", "cdn": cdn, "stamp": stamp}
        return a_bandwidth(number, **(event | changes))

    told = Stamp(received_at_ms=minute_ms + 9_000, via="cmcd")
    by_player = {"source": "player", "stamp": told, "bitrate_kbps": 4_000}
    events = [
        logged(1, "alpha", minute_ms, object_bytes=2 * GB),
        logged(2, "alpha", minute_ms + MINUTE_MS, object_bytes=GB // 2),
        logged(3, "beta", minute_ms, object_bytes=GB),
        # 2 s at 4 Mbit/s are 1 MB: of beta the log tells more, of gamma nobody else tells.
        logged(4, "beta", 0, object_duration_ms=2_000, **by_player),
        logged(5, "gamma", 0, object_duration_ms=2_000, **by_player),
        logged(6, "nobody's", minute_ms, object_bytes=GB),
    ]
    async with stage.sinking(topics=TOPICS):
        await stage.send(*events)
        await stage.until("SELECT count() FROM events", len(events))
    commit_mbps = GB * 8 / 60e6  # a GB a minute
    settings = {
        "alpha": CdnSettings(cdn="alpha", commit_mbps=commit_mbps, price_per_gb=0.01),
        "beta": CdnSettings(cdn="beta", price_per_gb=0.02),
        "gamma": CdnSettings(cdn="gamma"),
        "idle": CdnSettings(cdn="idle", price_per_gb=1.0),
    }
    costs = await asyncio.to_thread(read_costs, stage.url, settings, days=1)
    assert [each.cdn for each in costs] == list(settings)
    assert [each.traffic_gb for each in costs] == pytest.approx([2.5, 1.0, 0.001, 0.0])
    assert [each.billed_gb for each in costs] == pytest.approx([1.0, 1.0, 0.001, 0.0])
    assert [each.cost for each in costs] == pytest.approx([0.01, 0.02, 0.0, 0.0])
    assert costs[0].p95_mbps == pytest.approx(2 * commit_mbps)
