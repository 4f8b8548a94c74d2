"""What operators ask the recommendation agent: a profile's rows, why a title, what is like it."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.answers import answer
from gateway.gateway import gateway_of
from gateway.problems import ProblemError
from schemas.recommendations import (
    ExplainTitle,
    GetRecommendations,
    GetSimilar,
    Recommendations,
    SimilarTitles,
    TitleExplained,
)
from streams.topics import RECOMMENDATION_REQUESTS

ROLES: Final = ("catalog", "operator")
MATURITY_MAX: Final = 21
COUNT_MAX: Final = 100


async def look_at_recommendations(request: web.Request) -> web.Response:
    """The profile's rows as it would get them now; nothing is recorded as served."""
    gateway = gateway_of(request)
    gateway.auth.admin(request, *ROLES)
    profile_id = request.match_info["profile_id"]
    question = GetRecommendations(
        profile_id=profile_id,
        account_id="",
        maturity=_number(request, "maturity", MATURITY_MAX, 18),
        region=request.query.get("region", ""),
        plan=request.query.get("plan", ""),
        os=request.query.get("os", ""),
        count=_number(request, "count", COUNT_MAX, 20),
        is_look=True,
    )
    found: Recommendations = await gateway.ask(
        RECOMMENDATION_REQUESTS, profile_id, question, Recommendations
    )
    return answer(found)


async def explain_title(request: web.Request) -> web.Response:
    """Each expert's part in the title's place for the profile."""
    gateway = gateway_of(request)
    gateway.auth.admin(request, *ROLES)
    profile_id = request.match_info["profile_id"]
    question = ExplainTitle(profile_id=profile_id, content_id=_known_title(request))
    explained: TitleExplained = await gateway.ask(
        RECOMMENDATION_REQUESTS, profile_id, question, TitleExplained
    )
    return answer(explained)


async def get_similar(request: web.Request) -> web.Response:
    """Listed titles like this one."""
    gateway = gateway_of(request)
    gateway.auth.admin(request, *ROLES)
    content_id = _known_title(request)
    question = GetSimilar(
        content_id=content_id, count=max(1, _number(request, "count", COUNT_MAX, 20))
    )
    found: SimilarTitles = await gateway.ask(
        RECOMMENDATION_REQUESTS, content_id, question, SimilarTitles
    )
    return answer(found)


def _known_title(request: web.Request) -> str:
    content_id = request.match_info["content_id"]
    if gateway_of(request).views.titles.get(content_id) is None:
        raise ProblemError(404, "unknown-content")
    return content_id


def _number(request: web.Request, name: str, most: int, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isascii() or not text.isdecimal() or int(text[:6]) > most:
        raise ProblemError(400, "schema", f"{name} is a number up to {most}")
    return int(text)
