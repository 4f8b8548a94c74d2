"""How late a ceiling works, told by the view from what was reported and decided."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from schemas.bitrate import BitrateDecision, BitrateFacts
from schemas.events import Stamp
from streams.broker import Broker
from streams.clock import system_clock
from streams.producer import Receipt
from streams.topics import BITRATE_DECISIONS, PLAYBACK_BANDWIDTH
from tests.builders import a_bandwidth
from tests.integration.analytics_stage import Stage, a_session_id, a_stage, an_engine

TOPICS = (PLAYBACK_BANDWIDTH, BITRATE_DECISIONS)
DECIDED_MS = 20
"""From a report to its decision."""


@pytest.fixture(scope="module")
async def stage(kafka: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    broker = Broker(bootstrap=kafka.bootstrap, namespace="effects")
    folder: Path = tmp_path_factory.mktemp("engine")
    async with an_engine(folder) as engine, a_stage(broker, engine, topics=TOPICS) as stage:
        yield stage


class Viewer:
    """Reports fetches at moments of its own, and is told ceilings."""

    def __init__(self, stage: Stage) -> None:
        self.session_id = a_session_id()
        self.begun_ms = system_clock() - 600_000
        self._publish = stage.publisher.publish
        self._sequence = self._version = 0

    async def fetch(self, at_ms: int, kbps: int | None, object_type: str = "v") -> Receipt:
        self._sequence += 1
        event = a_bandwidth(
            self._sequence,
            session_id=self.session_id,
            bitrate_kbps=kbps,
            object_type=object_type,
            stamp=Stamp(received_at_ms=self.begun_ms + at_ms, via="cmcd"),
        )
        return await self._publish(PLAYBACK_BANDWIDTH, self.session_id, event)

    async def is_told(self, at_ms: int, ceiling_kbps: int | None, because: Receipt) -> None:
        self._version += 1
        decision = BitrateDecision(
            session_id=self.session_id,
            version=self._version,
            ceiling_kbps=ceiling_kbps,
            reason="futures",
            facts=BitrateFacts(),
            policy_version="1",
            decided_at_ms=self.begun_ms + at_ms + DECIDED_MS,
            source_topic=PLAYBACK_BANDWIDTH.name,
            source_partition=because.partition,
            source_offset=because.offset,
        )
        await self._publish(BITRATE_DECISIONS, self.session_id, decision)


async def test_what_a_ceiling_made_a_player_do_and_when(stage: Stage) -> None:
    viewer = Viewer(stage)
    async with stage.sinking(topics=TOPICS):
        first = await viewer.fetch(0, 4000)
        await viewer.is_told(0, 2500, first)  # lowered, followed after 6 s
        await viewer.fetch(2_000, 4000)
        await viewer.fetch(3_000, 128, "a")  # audio tells nothing
        await viewer.fetch(6_000, 2000)
        calm = await viewer.fetch(8_000, 2000)
        await viewer.is_told(8_000, 2300, calm)  # lowered below nothing that is fetched
        better = await viewer.fetch(10_000, None)
        await viewer.is_told(10_000, None, better)  # raised, followed after 4 s
        await viewer.fetch(12_000, 2000)
        await viewer.fetch(14_000, 4000)
        worse = await viewer.fetch(20_000, 4000)
        await viewer.is_told(20_000, 1000, worse)  # lowered, and never followed in time
        await viewer.fetch(81_000, 800)
        await stage.until("SELECT count() FROM events", 10)
        await stage.until("SELECT count() FROM bitrate_decisions", 4)
    rows = await stage.ask(
        "SELECT version, direction, ceiling_before_kbps, ceiling_kbps, decision_ms, effect_ms"
        " FROM bitrate_effects ORDER BY version"
    )
    assert rows == [
        [1, "lowered", None, 2500, DECIDED_MS, 6_000],
        [3, "raised", 2300, None, DECIDED_MS, 4_000],
        [4, "lowered", None, 1000, DECIDED_MS, None],
    ]
