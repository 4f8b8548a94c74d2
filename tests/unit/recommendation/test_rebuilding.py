from __future__ import annotations

import itertools

import pytest

from agents.recommendation.filters import Viewer
from agents.recommendation.tastes import Tastes, version_of
from infra.operations.rebuilding import Comparison, TwoModels
from schemas.recommendations import ModelStart, RecommendationRow
from schemas.watching import Watch
from tests.builders import NOW_MS, a_title, a_watch

ADULT = Viewer(maturity=18, region="DE", plan="basic")
NAMES = [f"t{n}" for n in range(40)]
TITLES = {name: a_title(name) for name in NAMES}
CHANGED_MS = NOW_MS + 10_000_000
ORDER = ModelStart(since_ms=CHANGED_MS, decided_at_ms=CHANGED_MS + 5_000)


def lists(first: int, viewers: int, step: int, at_ms: int) -> list[Watch]:
    """Viewers who go through the titles with this step, each from its own place."""
    return [
        a_watch(
            NAMES[(viewer + place * step) % len(NAMES)],
            profile_id=f"p{first + viewer}",
            session_id=f"s{first + viewer}-{place}",
            at_ms=at_ms + 1_000 * (place * viewers + viewer),
        )
        for place, viewer in itertools.product(range(6), range(viewers))
    ]


BEFORE = lists(0, 60, 1, NOW_MS)
SINCE = lists(100, 60, 7, CHANGED_MS)


def fed(tastes: Tastes, watches: list[Watch]) -> Tastes:
    for name, title in TITLES.items():
        tastes.offers.put(name, title)
    for offset, watch in enumerate(watches):
        tastes.take(watch, 0, offset)
    return tastes


def rows(tastes: Tastes) -> tuple[RecommendationRow, ...]:
    return tastes.rows("p100", ADULT, CHANGED_MS, count=20)


def compared(old_ms: int, new_ms: int) -> Comparison:
    both = TwoModels(old_ms, new_ms, TITLES, len(BEFORE) + len(SINCE))
    for watch in [*BEFORE, *SINCE]:
        both.take(watch)
    return both.compare()


def test_a_rebuilt_model_is_the_one_that_a_start_makes() -> None:
    live = fed(Tastes(), [*BEFORE, *SINCE])
    before = rows(live)
    fresh = fed(Tastes(start=ORDER, beside=live), [*BEFORE, *SINCE])
    assert rows(live) == before
    assert fresh.has_reached(live)
    live.take_model(fresh)
    started = fed(Tastes(start=ORDER), [*BEFORE, *SINCE])
    assert rows(live) == rows(started) != before
    assert live.model_version == started.model_version == version_of(live.model, ORDER)
    assert live.resume_ms("p0", "t0") == started.resume_ms("p0", "t0")
    assert len(live) == 120  # profiles keep what they watched before


def test_a_model_that_has_not_learned_the_same_is_not_taken() -> None:
    live = fed(Tastes(), BEFORE)
    behind = fed(Tastes(start=ORDER), BEFORE[:-1])
    assert not behind.has_reached(live)
    with pytest.raises(AssertionError, match="twice, or never"):
        live.take_model(behind)


def test_what_is_gone_from_the_log_holds_up_no_rebuild() -> None:
    live = fed(Tastes(), BEFORE)
    live.take(a_watch("t0", profile_id="gone"), 5, 7)
    fresh = fed(Tastes(start=ORDER), BEFORE)
    assert live.has_reached(fresh)
    live.take_model(fresh)
    assert live.start == ORDER


def test_both_models_are_asked_about_the_logs_last_part_before_they_learn_it() -> None:
    found = compared(0, CHANGED_MS)
    assert found.read == found.total == found.learned_old
    assert 0 < found.learned_new < found.learned_old
    assert found.targets > 50
    assert found.hits_new > 0
    assert found.overlap_ratio is not None
    assert found.overlap_ratio < 1


def test_the_same_start_gives_the_same_model() -> None:
    found = compared(0, 0)
    assert found.hits_old == found.hits_new
    assert found.overlap_ratio == 1.0


def test_a_model_that_learned_nothing_is_worse() -> None:
    found = compared(0, CHANGED_MS * 2)
    assert (found.learned_new, found.is_worse) == (0, True)


def test_an_empty_log_compares_nothing() -> None:
    found = TwoModels(0, 0, TITLES, 0).compare()
    assert (found.targets, found.profiles, found.overlap_ratio) == (0, 0, None)
