"""The recommendation agent's shell: watches and requests in, rows and resume points out.

State is the fold of `watches.v1` and nothing else. A view reads that topic from its beginning
before the first request is answered and follows it afterwards, so a kill loses nothing, every
worker has the whole title model (which no partition has), and each record is applied once. The
Faust side takes the watches of its own partitions only to publish what they changed. What is
older than the topic's retention is forgotten.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Coroutine
from typing import Any, Final

import faust
import msgspec

from agents.recommendation.filters import Viewer
from agents.recommendation.rows import POLICY_VERSION
from agents.recommendation.solving import Solver
from agents.recommendation.tastes import Tastes
from agents.shell import ShellPorts, serve
from schemas.catalog import Title
from schemas.codec import Decoder
from schemas.envelope import Request
from schemas.errors import InvalidMessageError
from schemas.recommendations import (
    ExplainTitle,
    ForgetProfile,
    GetRecommendations,
    GetResumePoint,
    GetSimilar,
    ProfileForgotten,
    RecommendationRequest,
    RecommendationRow,
    Recommendations,
    ResumePoint,
    SimilarTitles,
    TitleExplained,
)
from schemas.watching import Watch
from streams.records import Record
from streams.replies import Asked, Desk
from streams.topics import (
    CATALOG_TITLES,
    RECOMMENDATION_REQUESTS,
    RECOMMENDATION_UPDATES,
    RECOMMENDATIONS_SERVED,
    WATCHES,
)
from streams.view import View

log = logging.getLogger(__name__)

ACTIVE_MS: Final = 1_800_000
"""So long after it asked a profile's rows are kept current."""
ACTIVE_MAX: Final = 20_000
APPLY_TIMEOUT_MS: Final = 5_000


class _Active(msgspec.Struct, frozen=True, kw_only=True):
    """A profile that asked lately: how, and what it has."""

    request: GetRecommendations
    asked_at_ms: int
    rows: tuple[RecommendationRow, ...]


class RecommendationAgent:
    """Knows every profile's taste, answers, and publishes what a watch changed."""

    name = "recommendation"

    def __init__(self, ports: ShellPorts, desk: Desk) -> None:
        self._ports = ports
        self._desk = desk
        self._tastes = Tastes()
        self._solver = Solver(self._tastes.model)
        self._active: OrderedDict[str, _Active] = OrderedDict()
        self._decoder: Decoder[RecommendationRequest] = Decoder(RecommendationRequest)
        self._titles: View[Title] = View(
            ports.broker,
            CATALOG_TITLES,
            clock=ports.clock,
            state_key=ports.state_key,
            on_record=self._list,
            keep=False,
        )
        self._watches: View[Watch] = View(
            ports.broker, WATCHES, clock=ports.clock, on_record=self._learn, keep=False
        )

    async def start(self) -> None:
        """Read titles and then every watch that is kept: what is learned depends on both."""
        await self._titles.start()
        await self._watches.start()
        log.info("%d profiles read from the log", len(self._tastes))
        self._solver.start()

    def attach(self, app: faust.App) -> None:
        """Take watches and requests."""
        serve(app, WATCHES, self.handle_watch, self._ports)
        serve(app, RECOMMENDATION_REQUESTS, self.handle_request, self._ports)

    async def stop(self) -> None:
        """Leave the log."""
        await self._solver.stop()
        await self._watches.stop()
        await self._titles.stop()

    def handle_watch(self, record: Record[Watch]) -> Coroutine[Any, Any, None] | None:
        """Refresh the rows of a profile that looks at them."""
        if record.value.profile_id not in self._active:
            return None
        return self._refresh(record)

    def handle_request(self, record: Record[Request]) -> Coroutine[Any, Any, None] | None:
        """Answer one request from the state now."""
        asked = self._desk.open(record)
        if asked is None:
            return None
        request = self._decoder.decode(asked.request.body)
        if record.key != _key_of(request):
            raise InvalidMessageError("key", "the record's key is not what the request is about")
        if isinstance(request, ForgetProfile):
            return self._forget(asked, request.profile_id)
        if not isinstance(request, GetRecommendations) or request.is_look:
            return self._desk.reply(asked, self._told(request))
        now_ms = self._ports.clock()
        answer = self._recommend(request, now_ms)
        self._remember(_Active(request=request, asked_at_ms=now_ms, rows=answer.rows))
        return self._serve(asked, answer)

    def _told(
        self, request: GetRecommendations | GetResumePoint | ExplainTitle | GetSimilar
    ) -> Recommendations | ResumePoint | TitleExplained | SimilarTitles:
        """Answers that change nothing."""
        match request:
            case GetResumePoint(profile_id=profile_id, content_id=content_id):
                return ResumePoint(playhead_ms=self._tastes.resume_ms(profile_id, content_id))
            case ExplainTitle(profile_id=profile_id, content_id=content_id):
                return self._tastes.explain(profile_id, content_id, self._ports.clock())
            case GetSimilar(content_id=content_id, count=count):
                items = self._tastes.similar(content_id, count)
                return SimilarTitles(content_id=content_id, items=items)
            case GetRecommendations():
                return self._recommend(request, self._ports.clock())

    def _learn(self, record: Record[Watch | None]) -> None:
        if record.value is not None:
            self._tastes.take(record.value, record.partition, record.offset)

    def _list(self, record: Record[Title | None]) -> None:
        self._tastes.offers.put(record.key, record.value)

    def _recommend(self, request: GetRecommendations, now_ms: int) -> Recommendations:
        viewer = Viewer(maturity=request.maturity, region=request.region, plan=request.plan)
        rows = self._tastes.rows(request.profile_id, viewer, now_ms, count=request.count)
        return Recommendations(
            profile_id=request.profile_id,
            rows=rows,
            model_version=self._tastes.model.version,
            as_of_ms=now_ms,
            account_id=request.account_id,
            policy_version=POLICY_VERSION,
        )

    async def _serve(self, asked: Asked, answer: Recommendations) -> None:
        await asyncio.gather(
            self._desk.reply(asked, answer),
            self._ports.publisher.publish(RECOMMENDATIONS_SERVED, answer.profile_id, answer),
        )

    async def _refresh(self, record: Record[Watch]) -> None:
        """Publish the profile's rows where the watch changed them."""
        is_applied = await self._watches.wait_until(
            lambda: self._tastes.has_applied(record.partition, record.offset), APPLY_TIMEOUT_MS
        )
        active = self._active.get(record.value.profile_id)
        now_ms = self._ports.clock()
        if not is_applied or active is None or now_ms - active.asked_at_ms > ACTIVE_MS:
            return
        update = self._recommend(active.request, now_ms)
        if update.rows == active.rows:
            return
        self._active[update.profile_id] = msgspec.structs.replace(active, rows=update.rows)
        await self._ports.publisher.publish(RECOMMENDATION_UPDATES, update.profile_id, update)

    async def _forget(self, asked: Asked, profile_id: str) -> None:
        self._tastes.forget(profile_id)
        self._active.pop(profile_id, None)
        await self._ports.publisher.publish(RECOMMENDATION_UPDATES, profile_id, None)
        await self._desk.reply(asked, ProfileForgotten(profile_id=profile_id))

    def _remember(self, active: _Active) -> None:
        self._active[active.request.profile_id] = active
        self._active.move_to_end(active.request.profile_id)
        if len(self._active) > ACTIVE_MAX:
            self._active.popitem(last=False)


def _key_of(request: RecommendationRequest) -> str:
    return request.content_id if isinstance(request, GetSimilar) else request.profile_id
