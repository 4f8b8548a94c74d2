"""Places of served rows that were drawn, what came of them, and what another policy puts there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec

from infra.clickhouse.client import open_client, parse_url, saying_why
from infra.operations.off_policy import Draw
from schemas.errors import PlayheadError

Outcome = Literal["clicked", "watched", "completed"]

HOUR_MS: Final = 3_600_000
"""So long a draw stays the same, however often the page is looked at."""
POPULAR_DAYS: Final = 7
POPULAR_TITLES: Final = 30
SUM_TOLERANCE: Final = 1e-3

DRAWN: Final = """
WITH
    drawn AS
    (
        SELECT
            profile_id,
            row,
            position,
            content_id,
            toStartOfHour(served_at) AS hour,
            min(served_at) AS drawn_at,
            any(propensity) AS chance
        FROM recommendations_served
        WHERE propensity < 1 AND served_at < now64(3) - INTERVAL 24 HOUR
            AND served_at >= now64(3) - INTERVAL {days:UInt32} DAY
        GROUP BY profile_id, row, position, content_id, hour
    ),
    beside AS
    (
        SELECT profile_id, row, toStartOfHour(served_at) AS hour, groupUniqArray(content_id) AS ids
        FROM recommendations_served
        WHERE propensity = 1 AND served_at >= now64(3) - INTERVAL {days:UInt32} DAY
        GROUP BY profile_id, row, hour
    ),
    opened AS
    (
        SELECT
            profile_id,
            toString(content_id) AS content_id,
            UUIDv7ToDateTime(session_id) AS opened_at,
            played_ms > 0 AS is_watched,
            is_watched AND ifNull(completion_ratio, 0) >= 0.9 AS is_completed
        FROM sessions
        WHERE NOT canary
    ),
    outcomes AS
    (
        SELECT
            drawn.profile_id AS profile_id,
            drawn.row AS row,
            drawn.position AS position,
            drawn.content_id AS content_id,
            drawn.hour AS hour,
            1 AS clicked,
            max(opened.is_watched) AS watched,
            max(opened.is_completed) AS completed
        FROM opened
        ASOF INNER JOIN drawn ON opened.profile_id = drawn.profile_id
            AND opened.content_id = drawn.content_id AND opened.opened_at >= drawn.drawn_at
        WHERE opened.opened_at < drawn.drawn_at + INTERVAL 24 HOUR
        GROUP BY profile_id, row, position, content_id, hour
    )
SELECT
    drawn.profile_id,
    drawn.row,
    drawn.position,
    drawn.content_id,
    toUnixTimestamp(drawn.hour) * 1000,
    drawn.chance,
    outcomes.clicked,
    outcomes.watched,
    outcomes.completed,
    beside.ids
FROM drawn
LEFT JOIN outcomes ON outcomes.profile_id = drawn.profile_id AND outcomes.row = drawn.row
    AND outcomes.position = drawn.position AND outcomes.content_id = drawn.content_id
    AND outcomes.hour = drawn.hour
LEFT JOIN beside ON beside.profile_id = drawn.profile_id AND beside.row = drawn.row
    AND beside.hour = drawn.hour
ORDER BY drawn.hour, drawn.profile_id, drawn.row, drawn.position
"""

OPENED: Final = """
SELECT toString(content_id), toDate(UUIDv7ToDateTime(session_id)) AS day, count()
FROM sessions
WHERE NOT canary AND day >= today() - {days:UInt32}
GROUP BY ALL
"""


class DrawnPlace(msgspec.Struct, frozen=True, kw_only=True):
    """One draw, and what came of it within a day."""

    profile_id: str
    row: str
    position: int
    """From 1."""
    content_id: str
    hour_ms: int
    """Start of the hour in which the draw held."""
    propensity: float
    outcomes: Mapping[Outcome, float]
    beside: tuple[str, ...]
    """What stood at the places of the row that were not drawn."""


class Proposal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What another policy would have put at a drawn place: a line of a file."""

    profile_id: str
    row: str = "top-picks"
    position: int
    at_ms: int
    """Any instant of the hour in which the row was served."""
    titles: dict[str, float]
    """Probability by content id; they sum to 1."""


class Opened(NamedTuple):
    """How often a title was opened on a day."""

    content_id: str
    day: date
    times: int


def read_drawn(url: str, days: int) -> list[DrawnPlace]:
    """Of the last days but the last 24 hours, whose outcomes are not all in; oldest first.

    `url`: of ClickHouse's reader. Raises PlayheadError where ClickHouse does not answer.
    """
    with saying_why(), closing(open_client(parse_url(url))) as client:
        rows = client.query(DRAWN, parameters={"days": days}).result_rows
    return [_place(*row) for row in rows]


def read_opened(url: str, days: int) -> list[Opened]:
    """By title and day, far enough back for `popular`. Raises as `read_drawn` does."""
    with saying_why(), closing(open_client(parse_url(url))) as client:
        rows = client.query(OPENED, parameters={"days": days + POPULAR_DAYS}).result_rows
    return [Opened(*row) for row in rows]


def popular(places: Iterable[DrawnPlace], opened: Iterable[Opened], outcome: Outcome) -> list[Draw]:
    """Against what was opened most in the seven days before: the r-th of 30 weighs 1/r.

    Titles that stood beside the place are left out; so are places for which nothing is left.
    """
    by_day: dict[date, Counter[str]] = {}
    for content_id, day, times in opened:
        for later in range(1, POPULAR_DAYS + 1):
            by_day.setdefault(day + timedelta(days=later), Counter())[content_id] += times
    draws = []
    for place in places:
        counts = by_day.get(_day_of(place.hour_ms), Counter())
        order = sorted(counts.keys() - set(place.beside), key=lambda key: (-counts[key], key))
        weights = {key: 1.0 / rank for rank, key in enumerate(order[:POPULAR_TITLES], start=1)}
        if weights:
            draws.append(_against(place, weights, outcome))
    return draws


def proposed(
    places: Iterable[DrawnPlace], proposals: Iterable[Proposal], outcome: Outcome
) -> list[Draw]:
    """Against what a file proposes; places for which it proposes nothing are left out."""
    by_place = {
        (each.profile_id, each.row, each.position, each.at_ms // HOUR_MS): each.titles
        for each in proposals
    }
    found = ((place, by_place.get(_key_of(place))) for place in places)
    return [_against(place, titles, outcome) for place, titles in found if titles]


def read_proposals(path: Path) -> list[Proposal]:
    """Raises PlayheadError that names the line which is none."""
    decoder = msgspec.json.Decoder(Proposal)
    found: list[Proposal] = []
    try:
        lines: Sequence[bytes] = path.read_bytes().splitlines()
    except OSError as error:
        raise PlayheadError(f"{path} cannot be read: {error.strerror}") from error
    for number, line in enumerate(lines, start=1):
        try:
            proposal = decoder.decode(line)
        except msgspec.MsgspecError as error:
            raise PlayheadError(f"{path}, line {number}: {error}") from error
        chances = proposal.titles.values()
        if min(chances, default=0.0) < 0 or abs(sum(chances) - 1.0) > SUM_TOLERANCE:
            raise PlayheadError(
                f"{path}, line {number}: probabilities are not 0 or more and sum to 1"
            )
        found.append(proposal)
    return found


def _place(
    profile_id: str,
    row: str,
    position: int,
    content_id: str,
    hour_ms: int,
    propensity: float,
    is_clicked: int,
    is_watched: int,
    is_completed: int,
    beside: list[str],
) -> DrawnPlace:
    """A row of `DRAWN`."""
    return DrawnPlace(
        profile_id=profile_id,
        row=row,
        position=position,
        content_id=content_id,
        hour_ms=hour_ms,
        propensity=propensity,
        outcomes={
            "clicked": float(is_clicked),
            "watched": float(is_watched),
            "completed": float(is_completed),
        },
        beside=tuple(beside),
    )


def _key_of(place: DrawnPlace) -> tuple[str, str, int, int]:
    return place.profile_id, place.row, place.position, place.hour_ms // HOUR_MS


def _against(place: DrawnPlace, weights: Mapping[str, float], outcome: Outcome) -> Draw:
    total = sum(weights.values())
    return Draw(
        profile_id=place.profile_id,
        content_id=place.content_id,
        propensity=place.propensity,
        outcome=place.outcomes[outcome],
        other={content_id: weight / total for content_id, weight in weights.items()},
    )


def _day_of(at_ms: int) -> date:
    return date(1970, 1, 1) + timedelta(milliseconds=at_ms)
