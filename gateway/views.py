"""The topics that a gateway follows, bounded, and their start and stop."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.feed import Feed
from gateway.ports import GatewayViews
from schemas.bitrate import BitrateDecision
from schemas.catalog import Title
from schemas.experiments import Experiment
from schemas.recommendations import Recommendations
from schemas.revocations import Revocation
from schemas.secrets import SecretBytes
from schemas.sessions import SessionControl
from schemas.steering import SteeringDecision
from streams.broker import Broker
from streams.clock import Clock
from streams.records import Record
from streams.topics import (
    BITRATE_DECISIONS,
    CATALOG_TITLES,
    EXPERIMENTS,
    RECOMMENDATION_UPDATES,
    REVOCATIONS,
    SESSION_CONTROL,
    STEERING_DECISIONS,
)
from streams.view import View

TITLES_MAX = 100_000
SESSIONS_MAX = 200_000
COHORTS_MAX = 1_000
PROFILES_MAX = 50_000


class FollowedTopics:
    """Every view of one gateway; `views` is what its ports hold."""

    def __init__(
        self, broker: Broker, *, clock: Clock, state_key: SecretBytes | None = None
    ) -> None:
        changes = Feed()

        def tell(record: Record[Any]) -> None:
            changes.tell(record.key)

        titles: View[Title] = View(
            broker, CATALOG_TITLES, clock=clock, state_key=state_key, entries_max=TITLES_MAX
        )
        bitrates: View[BitrateDecision] = View(
            broker, BITRATE_DECISIONS, clock=clock, on_record=tell, entries_max=SESSIONS_MAX
        )
        steering: View[SteeringDecision] = View(
            broker, STEERING_DECISIONS, clock=clock, entries_max=COHORTS_MAX
        )
        recommendations: View[Recommendations] = View(
            broker, RECOMMENDATION_UPDATES, clock=clock, entries_max=PROFILES_MAX
        )
        controls: View[SessionControl] = View(
            broker,
            SESSION_CONTROL,
            clock=clock,
            state_key=state_key,
            on_record=tell,
            entries_max=SESSIONS_MAX,
        )
        revocations: View[Revocation] = View(broker, REVOCATIONS, clock=clock, state_key=state_key)
        experiments: View[Experiment] = View(broker, EXPERIMENTS, clock=clock, state_key=state_key)
        self.views = GatewayViews(
            titles,
            bitrates,
            steering,
            recommendations,
            controls,
            revocations,
            experiments,
            changes=changes,
        )
        self._followed: tuple[View[Any], ...] = (
            titles,
            bitrates,
            steering,
            recommendations,
            controls,
            revocations,
            experiments,
        )

    async def start(self) -> None:
        """Returns when each is read to its end."""
        await asyncio.gather(*(view.start() for view in self._followed))

    async def stop(self) -> None:
        """Disconnects all of them."""
        await asyncio.gather(*(view.stop() for view in self._followed))
