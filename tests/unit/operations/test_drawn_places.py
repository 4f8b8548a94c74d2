from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from infra.operations.drawn_places import (
    HOUR_MS,
    DrawnPlace,
    Opened,
    Proposal,
    popular,
    proposed,
    read_proposals,
)
from schemas.errors import PlayheadError

DAY_MS = 24 * HOUR_MS
PLACE = DrawnPlace(
    profile_id="p",
    row="top-picks",
    position=8,
    content_id="b",
    hour_ms=20_000 * DAY_MS,  # 2024-10-04
    propensity=0.25,
    outcomes={"clicked": 1.0, "watched": 1.0, "completed": 0.0},
    beside=("a",),
)


def a_line(**changes: Any) -> str:
    line = {"profile_id": "p", "position": 8, "at_ms": 1, "titles": {"a": 1.0}} | changes
    return msgspec.json.encode(line).decode()


def test_popular_titles_are_those_of_the_week_before_that_did_not_stand_beside() -> None:
    opened = [
        Opened("a", date(2024, 10, 3), 9),
        Opened("b", date(2024, 10, 3), 4),
        Opened("c", date(2024, 9, 27), 5),
        Opened("old", date(2024, 9, 26), 50),
        Opened("later", date(2024, 10, 4), 50),
    ]
    (draw,) = popular([PLACE], opened, "watched")
    assert draw.other == pytest.approx({"c": 2 / 3, "b": 1 / 3})
    assert (draw.propensity, draw.outcome) == (0.25, 1.0)
    assert popular([PLACE], opened[:1], "watched") == []


def test_a_proposal_is_for_the_hour_of_its_place() -> None:
    at_ms = PLACE.hour_ms + HOUR_MS - 1
    mine = Proposal(profile_id="p", position=8, at_ms=at_ms, titles={"b": 0.5, "x": 0.5})
    (draw,) = proposed([PLACE], [mine], "completed")
    assert draw.other == {"b": 0.5, "x": 0.5}
    assert draw.outcome == 0.0
    others: list[dict[str, Any]] = [
        {"at_ms": at_ms + 1},
        {"position": 18},
        {"row": "trending"},
        {"profile_id": "q"},
    ]
    for changes in others:
        other = msgspec.structs.replace(mine, **changes)
        assert proposed([PLACE], [other], "completed") == []


def test_a_file_of_proposals_is_read_or_its_wrong_line_named(tmp_path: Path) -> None:
    path = tmp_path / "policy.ndjson"
    path.write_text(f"{a_line()}\n{a_line(titles={'a': 0.3, 'b': 0.7})}\n")
    assert [each.titles for each in read_proposals(path)] == [{"a": 1.0}, {"a": 0.3, "b": 0.7}]
    for wrong in (a_line(titles={"a": 0.3}), a_line(titles={"a": 2.0, "b": -1.0}), a_line(x=1)):
        path.write_text(f"{a_line()}\n{wrong}\n")
        with pytest.raises(PlayheadError, match="line 2"):
            read_proposals(path)
    with pytest.raises(PlayheadError, match="cannot be read"):
        read_proposals(tmp_path / "none")
