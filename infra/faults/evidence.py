"""How a run knows that work was in flight when a fault struck: else the fault does not count."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import msgspec
from aiokafka.errors import KafkaError

from infra.faults.askers import Askers
from infra.faults.crowd import Crowd
from infra.faults.schedule import Place
from infra.faults.stage import Stage
from infra.operations.log_access import SINK_GROUP
from streams.clock import system_clock
from streams.lag import read_lags

LOOK_S: Final = 0.002
LAG_LOOK_S: Final = 0.2
WAIT_S_MAX: Final = 15.0

POSTS: Final[frozenset[Place]] = frozenset({"gateway", "kafka", "client-gateway", "gateway-kafka"})
ASKS: Final[frozenset[Place]] = frozenset({"license", "account", "recommendation"})
GROUPS: Final[dict[Place, str]] = {
    "analytics": SINK_GROUP,
    "clickhouse": SINK_GROUP,
    "analytics-kafka": SINK_GROUP,
    "analytics-clickhouse": SINK_GROUP,
    "fold": "fold",
    "bitrate": "bitrate",
    "steering": "steering",
}


class InFlight(msgspec.Struct, frozen=True, kw_only=True):
    """What was under way, right before the strike."""

    count: int
    what: str


class Evidence:
    """Looks at the clients' own books, and at what consumer groups have not committed."""

    def __init__(self, stage: Stage, crowd: Crowd, askers: Askers | None) -> None:
        self._stage = stage
        self._crowd = crowd
        self._askers = askers

    async def wait(self, place: Place) -> InFlight:
        """Returns as soon as something is in flight there; count 0 where nothing is in time.

        Nothing is awaited between the look and the return where clients' books tell.
        """
        deadline_s = time.monotonic() + WAIT_S_MAX
        while True:
            found = await self._look(place)
            if found.count > 0 or time.monotonic() > deadline_s:
                return found
            await asyncio.sleep(LAG_LOOK_S if place in GROUPS else LOOK_S)

    async def _look(self, place: Place) -> InFlight:
        if place in POSTS:
            return InFlight(count=self._crowd.tally.open_posts, what="posts without an answer")
        if place in ASKS:
            count = self._askers.open[place] if self._askers is not None else 0
            return InFlight(count=count, what="questions without an answer")
        return InFlight(count=await self._lag(GROUPS[place]), what="records not committed")

    async def _lag(self, group: str) -> int:
        broker = self._stage.sandbox.deployment.broker()
        try:
            async with asyncio.timeout(WAIT_S_MAX):
                lags = await read_lags(broker, [group], system_clock())
        except (KafkaError, TimeoutError):
            return 0
        return sum(lag.consumer_lag for lag in lags if lag.topic.startswith("playback."))
