"""Titles and recommendations: what there is to watch, and for whom."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Final

from aiohttp import web
from msgspec.structs import replace

from gateway.answers import answer
from gateway.auth import Viewer
from gateway.bodies import RecommendationsAnswer, TitleAnswer, TitlesAnswer
from gateway.gateway import Gateway, gateway_of, instant
from gateway.problems import ProblemError
from schemas.accounts import AccountView, GetAccount, Profile
from schemas.catalog import PutTitle, Title, TitleStored
from schemas.errors import RetryableError
from schemas.recommendations import GetRecommendations, Recommendations
from streams.topics import ACCOUNT_REQUESTS, CATALOG_REQUESTS, RECOMMENDATION_REQUESTS

PAGE_TITLES_MAX: Final = 50
QUERY_CHARS_MAX: Final = 128
COUNT_DEFAULT: Final = 20
COUNT_MAX: Final = 100
OS_CHARS_MAX: Final = 128


async def get_titles(request: web.Request) -> web.Response:
    """The listed titles by `?query=` and `?genre=`, a page at a time."""
    gateway = gateway_of(request)
    query = request.query.get("query", "")
    genre = request.query.get("genre", "")
    if len(query) > QUERY_CHARS_MAX or len(genre) > QUERY_CHARS_MAX:
        raise ProblemError(400, "schema", f"at most {QUERY_CHARS_MAX} characters")
    after = _read_cursor(request.query.get("cursor", ""))
    titles = (title for _, title in gateway.views.titles.items())
    page, next_after = page_of(titles, query=query, genre=genre, after=after)
    return answer(
        TitlesAnswer(
            titles=tuple(_told(gateway, title) for title in page),
            next_cursor=None if next_after is None else _write_cursor(next_after),
        )
    )


async def get_title(request: web.Request) -> web.Response:
    """One listed title."""
    gateway = gateway_of(request)
    title = gateway.views.titles.get(request.match_info["content_id"])
    if title is None or not title.listed:
        raise ProblemError(404, "unknown-content")
    return answer(_told(gateway, title))


async def put_title(request: web.Request) -> web.Response:
    """Creates or replaces a title."""
    gateway = gateway_of(request)
    gateway.auth.admin(request, "catalog", "operator")
    title: Title = await gateway.read_json(
        request, Title, bytes_max=gateway.limits.title_body_bytes_max
    )
    if title.content_id != request.match_info["content_id"]:
        raise ProblemError(400, "content-id", "the body is of another title")
    stored: TitleStored = await gateway.ask(
        CATALOG_REQUESTS, title.content_id, PutTitle(title=title), TitleStored
    )
    return answer(stored.title)


async def get_recommendations(request: web.Request) -> web.Response:
    """The profile's rows now; the last known ones where their agent is away."""
    gateway = gateway_of(request)
    viewer = await gateway.auth.viewer(request)
    profile_id = request.match_info["profile_id"]
    count = _count(request)
    profile = None
    try:
        view, profile = await owned_profile(gateway, viewer, profile_id)
        os = request.query.get("os", "")[:OS_CHARS_MAX]
        question = replace(rows_question(request, viewer, view, profile), os=os, count=count)
        found: Recommendations = await gateway.ask(
            RECOMMENDATION_REQUESTS, profile_id, question, Recommendations
        )
    except RetryableError:
        last_known = gateway.views.recommendations.get(profile_id)
        if last_known is None or last_known.account_id != viewer.account_id:
            raise
        if profile is not None and not _may_stand(last_known, profile):
            raise
        found = last_known
    body = RecommendationsAnswer(
        rows=found.rows, model_version=found.model_version, as_of=instant(found.as_of_ms)
    )
    age_s = max(0, gateway.now_ms() - found.as_of_ms) // 1000
    return answer(body, headers={"Age": str(age_s), "Cache-Control": "private, no-cache"})


def _may_stand(rows: Recommendations, profile: Profile) -> bool:
    """Whether they know no more of the profile than its account allows now."""
    is_since = rows.as_of_ms >= profile.personalized_since_ms
    return is_since and rows.is_personalized <= profile.is_personalized


async def owned_profile(
    gateway: Gateway, viewer: Viewer, profile_id: str
) -> tuple[AccountView, Profile]:
    """ProblemError 404 for a profile that is not the account's, or not at all: alike."""
    view: AccountView = await gateway.ask(
        ACCOUNT_REQUESTS, viewer.account_id, GetAccount(account_id=viewer.account_id), AccountView
    )
    profile = next((each for each in view.profiles if each.profile_id == profile_id), None)
    if profile is None:
        raise ProblemError(404, "unknown-profile")
    return view, profile


def rows_question(
    request: web.Request, viewer: Viewer, view: AccountView, profile: Profile
) -> GetRecommendations:
    """The rows of a profile of the viewer's account, where the viewer is now."""
    return GetRecommendations(
        profile_id=profile.profile_id,
        account_id=viewer.account_id,
        maturity=profile.maturity,
        region=gateway_of(request).place(request).region,
        plan=view.plan,
    )


def page_of(
    titles: Iterable[Title], *, query: str, genre: str, after: str, count: int = PAGE_TITLES_MAX
) -> tuple[list[Title], str | None]:
    """The titles after a content id, in the order of ids; and where the next page begins."""
    words = query.casefold().split()
    found = sorted(
        (
            title
            for title in titles
            if title.listed and title.content_id > after and _matches(title, words, genre)
        ),
        key=lambda title: title.content_id,
    )
    page = found[:count]
    return page, page[-1].content_id if len(found) > count else None


def _matches(title: Title, words: list[str], genre: str) -> bool:
    if genre and genre.casefold() not in {each.casefold() for each in title.genres}:
        return False
    text = f"{title.title} {title.description} {' '.join(title.genres)}".casefold()
    return all(word in text for word in words)


def _told(gateway: Gateway, title: Title) -> TitleAnswer:
    folder_url = f"{gateway.config.cdns[0].base_url}/{title.content_id}"
    return TitleAnswer(
        content_id=title.content_id,
        title=title.title,
        description=title.description,
        duration_ms=title.duration_ms,
        genres=title.genres,
        language=title.language,
        year=title.year,
        maturity=title.maturity,
        poster_url=f"{folder_url}/{title.poster}" if title.poster else "",
        heights=tuple(rendition.height for rendition in title.video),
        audio_languages=tuple(track.language for track in title.audio),
        subtitle_languages=tuple(track.language for track in title.subtitles),
    )


def _count(request: web.Request) -> int:
    text = request.query.get("count", str(COUNT_DEFAULT))
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:6]) <= COUNT_MAX:
        raise ProblemError(400, "schema", f"count is a number from 1 to {COUNT_MAX}")
    return int(text)


def _write_cursor(content_id: str) -> str:
    return base64.urlsafe_b64encode(content_id.encode()).decode()


def _read_cursor(cursor: str) -> str:
    try:
        return base64.b64decode(cursor[:QUERY_CHARS_MAX], altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise ProblemError(400, "cursor", "the cursor is not from here") from error
