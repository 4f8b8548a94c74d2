"""What becomes of a request to the catalog: a pure function of it, the title now and the time."""

from __future__ import annotations

import msgspec

from agents.catalog.soundness import CatalogLimits, problems_of
from schemas.catalog import CatalogRequest, PutTitle, RemoveTitle, Title, TitleRemoved, TitleStored
from schemas.envelope import Refused


class CatalogDecision(msgspec.Struct, frozen=True, kw_only=True):
    """The answer, and whether the log must learn of it first."""

    answer: TitleStored | TitleRemoved | Refused
    is_change: bool


def decide(
    request: CatalogRequest, current: Title | None, limits: CatalogLimits, now_ms: int
) -> CatalogDecision:
    """Store a sound title under the next version, remove a known one, refuse the rest.

    A title that says what is stored already is no change: a request may be delivered twice.
    """
    match request:
        case PutTitle(title=title):
            return _put(title, current, limits, now_ms)
        case RemoveTitle(content_id=content_id):
            if current is None:
                return _refused(404, "unknown-content", content_id)
            return CatalogDecision(answer=TitleRemoved(content_id=content_id), is_change=True)


def _put(
    title: Title, current: Title | None, limits: CatalogLimits, now_ms: int
) -> CatalogDecision:
    problems = problems_of(title, limits)
    if problems:
        return _refused(422, "title", problems[0], problems)
    version = 1 if current is None else current.version
    added_at_ms = now_ms if current is None else current.added_at_ms
    stored = msgspec.structs.replace(title, version=version, added_at_ms=added_at_ms)
    if stored == current:
        return CatalogDecision(answer=TitleStored(title=current), is_change=False)
    if current is not None:
        stored = msgspec.structs.replace(stored, version=version + 1)
    return CatalogDecision(answer=TitleStored(title=stored), is_change=True)


def _refused(
    status: int, reason: str, detail: str, problems: tuple[str, ...] = ()
) -> CatalogDecision:
    facts: dict[str, str | int | list[str]] = {"problems": list(problems)} if problems else {}
    refused = Refused(status=status, reason=reason, detail=detail, facts=facts)
    return CatalogDecision(answer=refused, is_change=False)
