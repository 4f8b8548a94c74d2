from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.recommendation.exploration import DRAWN_MS, draw
from tests.builders import NOW_MS

GROUPS = (["a", "b", "c"], ["d", "b"])


def test_titles_are_drawn_as_often_as_their_propensities_say() -> None:
    drawn: Counter[str] = Counter()
    propensities: dict[str, float] = {}
    for number in range(5_000):
        found = draw(GROUPS, f"p{number}", 7, NOW_MS)
        assert found is not None
        drawn[found.content_id] += 1
        propensities[found.content_id] = found.propensity
    total = 1 + 1 / 2 + 1 / 3 + 1 + 1 / 2
    assert propensities == pytest.approx(
        {"a": 1 / total, "b": 1 / total, "c": 1 / 3 / total, "d": 1 / total}
    )
    for content_id, propensity in propensities.items():
        assert abs(drawn[content_id] / 5_000 - propensity) < 0.02


@given(st.text(max_size=20), st.integers(0, 100), st.integers(0, 10**13))
def test_a_draw_stays_for_its_hour(profile_id: str, place: int, now_ms: int) -> None:
    hour_ms = now_ms // DRAWN_MS * DRAWN_MS
    found = draw(GROUPS, profile_id, place, now_ms)
    assert found == draw(GROUPS, profile_id, place, hour_ms)
    assert draw(((), ()), profile_id, place, now_ms) is None
