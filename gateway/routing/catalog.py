"""Titles, recommendations, and the interface of CDN edges."""

from __future__ import annotations

from typing import Final

from gateway import catalog, edge, recommending
from gateway.bodies import (
    EventsAccepted,
    EventsPartlyAccepted,
    RecommendationsAnswer,
    TitleAnswer,
    TitlesAnswer,
)
from gateway.routing.route import COUNTED, NDJSON, Body, Query, Route, json_body
from schemas.catalog import Title
from schemas.delivery import EdgeLog
from schemas.recommendations import Recommendations, SimilarTitles, TitleExplained

_EVENTS_ANSWERS: Final = {202: EventsAccepted, 207: EventsPartlyAccepted}

CATALOG_ROUTES: Final[tuple[Route, ...]] = (
    Route(
        name="getTitles",
        method="GET",
        path="/v1/titles",
        handler=catalog.get_titles,
        says="The listed titles, a page at a time",
        traffic="account",
        query={
            "query": Query(says="words of title, description or genre"),
            "genre": Query(says="one genre"),
            "cursor": Query(says="of the page before"),
        },
        answers={200: TitlesAnswer},
        problems=(400,),
    ),
    Route(
        name="getTitle",
        method="GET",
        path="/v1/titles/{content_id}",
        handler=catalog.get_title,
        says="One listed title",
        traffic="account",
        answers={200: TitleAnswer},
        problems=(404,),
    ),
    Route(
        name="putTitle",
        method="PUT",
        path="/v1/admin/titles/{content_id}",
        handler=catalog.put_title,
        says="Creates or replaces a title",
        traffic="account",
        access="admin",
        roles=("catalog", "operator"),
        body=json_body(Title, "title_body_bytes_max"),
        answers={200: Title},
        problems=(409, 422),
    ),
    Route(
        name="getRecommendations",
        method="GET",
        path="/v1/profiles/{profile_id}/recommendations",
        handler=catalog.get_recommendations,
        says="The profile's rows now, with a reason per title",
        traffic="account",
        access="viewer",
        query={"count": Query(says="titles per row, 1 to 100; 20 unless told", type_="integer")},
        answers={200: RecommendationsAnswer},
        problems=(400, 404),
    ),
    Route(
        name="lookAtRecommendations",
        method="GET",
        path="/v1/admin/profiles/{profile_id}/recommendations",
        handler=recommending.look_at_recommendations,
        says="A profile's rows as it would get them now; recorded nowhere",
        traffic="account",
        access="admin",
        roles=recommending.ROLES,
        query={
            "maturity": Query(says="its limit in years; 18 unless told", type_="integer"),
            "region": Query(says="ISO 3166-1 region where it would watch"),
            "plan": Query(says="plan of its account"),
            "count": Query(says="titles per row, up to 100; 20 unless told", type_="integer"),
        },
        answers={200: Recommendations},
        problems=(400,),
    ),
    Route(
        name="explainTitle",
        method="GET",
        path="/v1/admin/profiles/{profile_id}/recommendations/{content_id}",
        handler=recommending.explain_title,
        says="Each expert's part in a title's place for a profile",
        traffic="account",
        access="admin",
        roles=recommending.ROLES,
        answers={200: TitleExplained},
        problems=(404,),
    ),
    Route(
        name="getSimilarTitles",
        method="GET",
        path="/v1/admin/titles/{content_id}/similar",
        handler=recommending.get_similar,
        says="Listed titles like this one, by what is written of them",
        traffic="account",
        access="admin",
        roles=recommending.ROLES,
        query={"count": Query(says="up to 100; 20 unless told", type_="integer")},
        answers={200: SimilarTitles},
        problems=(400, 404),
    ),
    Route(
        name="getEdgeDecisions",
        method="GET",
        path="/v1/edge/decisions",
        handler=edge.get_decisions,
        says="Ceilings and refused sessions as they are decided; a blank line keeps it alive",
        traffic="stream",
        access="admin",
        roles=("edge", "operator"),
        answers={200: NDJSON},
    ),
    Route(
        name="postEdgeLogs",
        method="POST",
        path="/v1/edge/logs",
        handler=edge.post_logs,
        says="What an edge served, a line per response",
        traffic="measurements",
        turned_away="with 503",
        access="admin",
        roles=("edge", "operator"),
        body=Body(content={NDJSON: EdgeLog}, bytes_max="events_body_bytes_max", says=COUNTED),
        answers=_EVENTS_ANSWERS,
    ),
)
