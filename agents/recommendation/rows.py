"""The rows of a profile's page: a pure function of profile, model, titles and time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from agents.recommendation.filters import Viewer, may_be_offered
from agents.recommendation.model import Context, Ranked, TitleModel
from agents.recommendation.profile import ProfileState
from schemas.catalog import Title
from schemas.recommendations import RecommendationRow, RecommendedTitle

COUNT_MAX: Final = 100
BECAUSE_ROWS_MAX: Final = 2
BECAUSE_HISTORY_MAX: Final = 10
"""How far back such a row may look."""
BECAUSE_TITLES_MIN: Final = 2
"""A row of one title is none."""
NEW_MS: Final = 60 * 86_400_000
"""So long a title counts as new."""

Titles = Mapping[str, Title]


def build_rows(
    profile_id: str,
    profile: ProfileState,
    model: TitleModel,
    titles: Titles,
    viewer: Viewer,
    now_ms: int,
    *,
    count: int,
) -> tuple[RecommendationRow, ...]:
    """The rows, at most `count` titles each; rows without titles are left out.

    Nothing in them is forbidden to the viewer or was watched to the end. What was begun stands in
    "continue watching" only.
    """
    count = max(1, min(count, COUNT_MAX))
    offered = _newest_first(t for t in titles.values() if may_be_offered(t, viewer, now_ms))
    offered = {key: title for key, title in offered.items() if not profile.is_completed(key)}
    fresh = {key: title for key, title in offered.items() if not profile.resume_ms(key)}
    unseen = {key: title for key, title in fresh.items() if key not in profile.titles}
    rows = [
        _continue_watching(profile, offered),
        _top_picks(Context(profile.history(), profile_id), model, titles, fresh, count),
        *_because_you_watched(profile, model, titles, unseen, count),
        _popular(model, fresh, count),
        _new(unseen, now_ms),
    ]
    return tuple(_cut(row, count) for row in rows if row.items)


def _continue_watching(profile: ProfileState, offered: Titles) -> RecommendationRow:
    begun = [(profile.titles[key].at_ms, key) for key in offered if profile.resume_ms(key)]
    begun.sort(reverse=True)
    items = tuple(
        RecommendedTitle(
            content_id=key,
            title=offered[key].title,
            score=float(at_ms),
            reason=f"You stopped at {_clock(profile.resume_ms(key))}",
            playhead_ms=profile.resume_ms(key),
        )
        for at_ms, key in begun
    )
    return RecommendationRow(row="continue-watching", reason="Continue watching", items=items)


def _top_picks(
    context: Context, model: TitleModel, titles: Titles, fresh: Titles, count: int
) -> RecommendationRow:
    if not context.history:
        return RecommendationRow(row="top-picks", reason="Top picks for you", items=())
    items = tuple(
        _item(ranked, fresh, _reason(ranked, titles))
        for ranked in model.rank(context, fresh, count)
    )
    return RecommendationRow(row="top-picks", reason="Top picks for you", items=items)


def _because_you_watched(
    profile: ProfileState, model: TitleModel, titles: Titles, unseen: Titles, count: int
) -> list[RecommendationRow]:
    rows: list[RecommendationRow] = []
    for watched in profile.history()[:BECAUSE_HISTORY_MAX]:
        if len(rows) == BECAUSE_ROWS_MAX:
            break
        title = titles.get(watched)
        ranked = model.after(watched, unseen, count) if title is not None else []
        if title is None or len(ranked) < BECAUSE_TITLES_MIN:
            continue
        reason = f"Because you watched {title.title}"
        items = tuple(_item(each, unseen, reason) for each in ranked)
        rows.append(RecommendationRow(row=f"because:{watched}", reason=reason, items=items))
    return rows


def _popular(model: TitleModel, fresh: Titles, count: int) -> RecommendationRow:
    items = tuple(_item(ranked, fresh, "Popular now") for ranked in model.popular(fresh, count))
    return RecommendationRow(row="popular", reason="Popular now", items=items)


def _new(unseen: Titles, now_ms: int) -> RecommendationRow:
    """What was added lately; where nothing was, the newest there is."""
    recent = [title for title in unseen.values() if now_ms - title.added_at_ms <= NEW_MS]
    items = tuple(
        RecommendedTitle(
            content_id=title.content_id,
            title=title.title,
            score=float(title.added_at_ms),
            reason="New",
        )
        for title in recent or unseen.values()
    )
    return RecommendationRow(row="new", reason="New for you", items=items)


def _newest_first(titles: Iterable[Title]) -> dict[str, Title]:
    """By id; the order decides between equal scores."""
    ordered = sorted(titles, key=lambda title: (-title.added_at_ms, title.content_id))
    return {title.content_id: title for title in ordered}


def _reason(ranked: Ranked, titles: Titles) -> str:
    because = titles.get(ranked.because) if ranked.because is not None else None
    if because is not None:
        return f"Because you watched {because.title}"
    return "Popular now" if ranked.is_popular else "New"


def _item(ranked: Ranked, titles: Titles, reason: str) -> RecommendedTitle:
    return RecommendedTitle(
        content_id=ranked.content_id,
        title=titles[ranked.content_id].title,
        score=round(ranked.score, 6),
        reason=reason,
    )


def _cut(row: RecommendationRow, count: int) -> RecommendationRow:
    items: Sequence[RecommendedTitle] = row.items[:count]
    return RecommendationRow(row=row.row, reason=row.reason, items=tuple(items))


def _clock(playhead_ms: int) -> str:
    minutes, seconds = divmod(playhead_ms // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
