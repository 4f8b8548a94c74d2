"""What profiles say of titles: thumbs, hidden ones, their list; the recommendation agent's."""

from __future__ import annotations

from aiohttp import web

from gateway.answers import answer, nothing
from gateway.bodies import FeedbackAnswer, FeedbackChange, ProfileFeedbackAnswer
from gateway.catalog import owned_profile, rows_question
from gateway.gateway import gateway_of, instant
from gateway.problems import ProblemError
from schemas.recommendations import (
    GetFeedback,
    GetRecommendations,
    GiveFeedback,
    ProfileFeedback,
    TitleFeedback,
)
from streams.topics import RECOMMENDATION_REQUESTS


async def get_feedback(request: web.Request) -> web.Response:
    """Everything that the profile says of titles."""
    gateway = gateway_of(request)
    viewer = await gateway.auth.viewer(request)
    profile_id = request.match_info["profile_id"]
    await owned_profile(gateway, viewer, profile_id)
    found: ProfileFeedback = await gateway.ask(
        RECOMMENDATION_REQUESTS, profile_id, GetFeedback(profile_id=profile_id), ProfileFeedback
    )
    return answer(ProfileFeedbackAnswer(titles=tuple(map(_told, found.titles))))


async def put_feedback(request: web.Request) -> web.Response:
    """200 once it is kept and counts in the profile's rows."""
    gateway = gateway_of(request)
    rows = await _own_rows(request)
    body: FeedbackChange = await gateway.read_json(request, FeedbackChange)
    title = gateway.views.titles.get(request.match_info["content_id"])
    if title is None or not title.listed:
        raise ProblemError(404, "unknown-content")
    return answer(_told(await _give(request, rows, body)))


async def delete_feedback(request: web.Request) -> web.Response:
    """204, also where nothing was said."""
    await _give(request, await _own_rows(request), FeedbackChange())
    return nothing()


async def _own_rows(request: web.Request) -> GetRecommendations:
    """What it changes; ProblemError 403 where a PIN guards the profile and was not said."""
    gateway = gateway_of(request)
    viewer = await gateway.auth.viewer(request)
    profile_id = request.match_info["profile_id"]
    view, profile = await owned_profile(gateway, viewer, profile_id)
    if profile.pin_set_at_ms not in {None, gateway.auth.pin_said(request, viewer, profile_id)}:
        raise ProblemError(403, "profile-pin", "say the PIN of the profile first")
    return rows_question(request, viewer, view, profile)


async def _give(
    request: web.Request, rows: GetRecommendations, body: FeedbackChange
) -> TitleFeedback:
    command = GiveFeedback(
        profile_id=rows.profile_id,
        content_id=request.match_info["content_id"],
        thumb=body.thumb,
        is_hidden=body.is_hidden,
        is_favorite=body.is_favorite,
        changes=rows,
    )
    kept: TitleFeedback = await gateway_of(request).ask(
        RECOMMENDATION_REQUESTS, rows.profile_id, command, TitleFeedback
    )
    return kept


def _told(feedback: TitleFeedback) -> FeedbackAnswer:
    return FeedbackAnswer(
        content_id=feedback.content_id,
        thumb=feedback.thumb,
        is_hidden=feedback.is_hidden,
        is_favorite=feedback.is_favorite,
        said_at=instant(feedback.at_ms),
    )
