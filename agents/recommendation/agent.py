"""The recommendation agent's shell: watches and requests in, rows and resume points out.

State is the fold of `watches.v1`, of `title.feedback.v1`, which this agent alone writes, and of
what `accounts.v1` says that recommendations may know. Views read them from their beginning before
the first request is answered and follow them afterwards, so a kill loses nothing, every worker has
the whole title model (which no partition has), and each record is applied once. The Faust side
takes the watches of its own partitions only to publish what they changed. Watches older than their
topic's retention are forgotten; feedback is not.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Coroutine, Mapping
from typing import Any, Final

import faust
import msgspec

from agents.recommendation.filters import Viewer
from agents.recommendation.profile import FEEDBACK_TITLES_MAX
from agents.recommendation.rebuilding import Rebuilder
from agents.recommendation.rows import POLICY_VERSION
from agents.recommendation.solving import Solver
from agents.recommendation.tastes import Tastes
from agents.shell import ShellPorts, serve
from schemas.accounts import Account
from schemas.catalog import Title
from schemas.codec import Decoder
from schemas.envelope import Refused, Request
from schemas.errors import InvalidMessageError, RetryableError
from schemas.recommendations import (
    ExplainTitle,
    ForgetProfile,
    GetFeedback,
    GetRecommendations,
    GetResumePoint,
    GetSimilar,
    GiveFeedback,
    ProfileFeedback,
    ProfileForgotten,
    RecommendationRequest,
    RecommendationRow,
    Recommendations,
    RefreshProfile,
    ResumePoint,
    SimilarTitles,
    TitleExplained,
    TitleFeedback,
)
from schemas.watching import Watch
from streams.producer import partition_of
from streams.records import Record
from streams.replies import Asked, Desk
from streams.topics import (
    ACCOUNTS,
    CATALOG_TITLES,
    RECOMMENDATION_REQUESTS,
    RECOMMENDATION_UPDATES,
    RECOMMENDATIONS_SERVED,
    TITLE_FEEDBACK,
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
        self._solver = Solver(lambda: self._tastes.model)
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
        self._rebuilder = Rebuilder(ports, self._tastes, self._watches)

        self._feedback: View[TitleFeedback] = View(
            ports.broker, TITLE_FEEDBACK, clock=ports.clock, on_record=self._heed, keep=False
        )
        self._accounts: View[Account] = View(
            ports.broker,
            ACCOUNTS,
            clock=ports.clock,
            state_key=ports.state_key,
            on_record=self._mind,
            keep=False,
        )
        self._one_at_a_time = asyncio.Lock()
        """Feedback is written and read back in turn: whoever forgets a profile knows all of it."""

    async def start(self) -> None:
        """Read every watch that is kept, after what says what it teaches: titles and accounts."""
        await self._rebuilder.start()
        await asyncio.gather(self._titles.start(), self._accounts.start(), self._feedback.start())
        await self._watches.start()
        log.info("%d profiles read from the log", len(self._tastes))
        self._solver.start()
        self._rebuilder.follow()

    def attach(self, app: faust.App) -> None:
        """Take watches and requests."""
        serve(app, WATCHES, self.handle_watch, self._ports)
        serve(app, RECOMMENDATION_REQUESTS, self.handle_request, self._ports)

    async def stop(self) -> None:
        """Leave the log."""
        await self._rebuilder.stop()
        await self._solver.stop()
        await self._watches.stop()
        await self._feedback.stop()
        await self._accounts.stop()
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
        if isinstance(request, GiveFeedback):
            return self._take_feedback(asked, request)
        if isinstance(request, RefreshProfile):
            return self._refresh_profile(asked, request)
        if not isinstance(request, GetRecommendations) or request.is_look:
            return self._desk.reply(asked, self._told(request))
        now_ms = self._ports.clock()
        answer = self._recommend(request, now_ms)
        self._remember(_Active(request=request, asked_at_ms=now_ms, rows=answer.rows))
        return self._serve(asked, answer)

    def _told(
        self,
        request: GetRecommendations | GetResumePoint | GetFeedback | ExplainTitle | GetSimilar,
    ) -> Recommendations | ResumePoint | ProfileFeedback | TitleExplained | SimilarTitles:
        """Answers that change nothing."""
        match request:
            case GetResumePoint(profile_id=profile_id, content_id=content_id):
                return ResumePoint(playhead_ms=self._tastes.resume_ms(profile_id, content_id))
            case GetFeedback(profile_id=profile_id):
                titles = self._tastes.feedback(profile_id)
                return ProfileFeedback(profile_id=profile_id, titles=titles)
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
            self._rebuilder.note(record.value, record.partition, record.offset)

    def _heed(self, record: Record[TitleFeedback | None]) -> None:
        self._tastes.heed(record.key, record.value, record.offset)

    def _mind(self, record: Record[Account | None]) -> None:
        if record.value is not None:
            self._tastes.mind(record.value)

    def _list(self, record: Record[Title | None]) -> None:
        self._tastes.offers.put(record.key, record.value)

    def _recommend(self, request: GetRecommendations, now_ms: int) -> Recommendations:
        viewer = Viewer(
            maturity=request.maturity, region=request.region, plan=request.plan, os=request.os
        )
        rows = self._tastes.rows(request.profile_id, viewer, now_ms, count=request.count)
        return Recommendations(
            profile_id=request.profile_id,
            rows=rows,
            model_version=self._tastes.model_version,
            as_of_ms=now_ms,
            account_id=request.account_id,
            policy_version=POLICY_VERSION,
            is_personalized=self._tastes.choices.of(request.profile_id).is_personalized,
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

    async def _take_feedback(self, asked: Asked, given: GiveFeedback) -> None:
        """Answer once it is in the log, counts here, and the rows of before are replaced."""
        feedback = TitleFeedback(
            profile_id=given.profile_id,
            account_id=given.changes.account_id,
            content_id=given.content_id,
            at_ms=self._ports.clock(),
            thumb=given.thumb,
            is_hidden=given.is_hidden,
            is_favorite=given.is_favorite,
        )
        async with self._one_at_a_time:
            if self._desk.is_late(asked.request):
                return
            if not self._tastes.has_room_for(feedback):
                detail = (
                    f"a profile says it of at most {FEEDBACK_TITLES_MAX} titles: take some back"
                )
                refused = Refused(status=409, reason="feedback-full", detail=detail)
                await self._desk.reply(asked, refused)
                return
            kept = None if feedback.says_nothing else feedback
            await self._write_feedback({feedback.key: kept})
        await self._replace_rows(given.changes)
        await self._desk.reply(asked, feedback)

    async def _refresh_profile(self, asked: Asked, wanted: RefreshProfile) -> None:
        """Answer once what its account decided counts here, and the rows of before are replaced."""
        async with self._one_at_a_time:
            await self._accounts.reach_end(
                partition_of(wanted.changes.account_id, ACCOUNTS.partitions)
            )
            await self._feedback.reach_end(0)
            await self._write_feedback(dict.fromkeys(self._tastes.void_feedback(wanted.profile_id)))
        await self._desk.reply(asked, await self._replace_rows(wanted.changes))

    async def _replace_rows(self, changed: GetRecommendations) -> Recommendations:
        """What is served while this agent is away, and what a watch changes from here on."""
        update = self._recommend(changed, self._ports.clock())
        await self._ports.publisher.publish(RECOMMENDATION_UPDATES, update.profile_id, update)
        return update

    async def _write_feedback(self, records: Mapping[str, TitleFeedback | None]) -> None:
        """Returns when all are applied. Raises RetryableError where they are not in time."""
        publish = self._ports.publisher.publish
        receipts = await asyncio.gather(
            *(publish(TITLE_FEEDBACK, key, value) for key, value in records.items())
        )
        last = max((receipt.offset for receipt in receipts), default=-1)
        is_applied = await self._feedback.wait_until(
            lambda: self._tastes.heeded_offset >= last, APPLY_TIMEOUT_MS
        )
        if not is_applied:
            raise RetryableError(f"{TITLE_FEEDBACK.name} cannot be read")

    async def _forget(self, asked: Asked, profile_id: str) -> None:
        async with self._one_at_a_time:
            # What another worker wrote before it left the profile to this one.
            await self._feedback.reach_end(0)
            said = (each.key for each in self._tastes.feedback(profile_id))
            keys = (*said, *self._tastes.void_feedback(profile_id))
            await self._write_feedback(dict.fromkeys(keys))
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
