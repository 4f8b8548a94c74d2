from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.recommendation.blend import Blend, best_places
from agents.recommendation.model import Context
from agents.recommendation.numbers import Candidates
from agents.recommendation.popularity import WEEK_MS
from agents.recommendation.ridge import solve
from tests.builders import NOW_MS
from tests.unit.recommendation.plays import Play, context_of, learned, list_plays

TITLES = ("a", "b", "c", "d", "e", "f")


def a_model() -> Blend:
    """Forty viewers who went a, b, c and ten who went d, e."""
    plays = [Play(f"p{n}", content_id) for n in range(40) for content_id in "abc"]
    plays += [Play(f"q{n}", content_id) for n in range(10) for content_id in "de"]
    return learned(plays)


def ids(model: Blend, context: Context, candidates: tuple[str, ...] = TITLES) -> list[str]:
    return [ranked.content_id for ranked in model.rank(context, candidates, 9)]


def test_what_follows_ranks_first_and_says_because_of_what() -> None:
    model = a_model()
    ranked = model.rank(Context(("d",), "new"), TITLES, 9)
    assert (ranked[0].content_id, ranked[0].because) == ("e", "d")
    assert {each.content_id: each.because for each in ranked}["a"] is None
    assert [each.content_id for each in model.after("d", TITLES, 9)] == ["e"]


def test_without_history_what_is_popular_lately_comes_first() -> None:
    model = a_model()
    for n in range(60):
        model.learn(Context((), f"r{n}"), "f", 1.0, NOW_MS + 5 * WEEK_MS + n)
    assert ids(model, Context(()))[0] == "f"
    assert model.popular(TITLES, 9)[0].content_id == "f"


def test_nobody_watched_nothing_keeps_the_candidates_order() -> None:
    assert ids(Blend(), Context(()), ("x", "z", "y")) == ["x", "z", "y"]
    assert Blend().popular(["x"], 9) == []
    assert Blend().after("x", ["y"], 9) == []


def test_seen_titles_are_left_out_until_people_come_back_to_them() -> None:
    model = a_model()
    assert "a" not in ids(model, Context(("b", "a"), "p0"))
    assert "f" not in ids(learned([Play("p", "f")], model), Context(("b",), "p0", seen=("f",)))
    for n in range(10):
        model.learn(Context(("b", "a"), f"back{n}"), "a", 1.0, NOW_MS)
    assert model.is_repeating
    assert "a" in ids(model, Context(("b", "a"), "p0"))


def test_a_further_step_of_a_watch_counts_but_is_no_second_watch() -> None:
    model = Blend()
    model.learn(Context(("a",), "p"), "b", 0.4, NOW_MS)
    model.learn(Context(("a",), "p"), "b", 0.5, NOW_MS)
    assert not model.is_repeating
    other = Blend()
    other.learn(Context(("a",), "p"), "b", 0.9, NOW_MS)
    once = other.popular(["b"], 1)[0].score
    assert abs(model.popular(["b"], 1)[0].score - once) < 1e-6


def test_a_list_is_continued_better_than_by_popularity() -> None:
    """Of viewers in the middle of a list the next title is among the first three."""
    plays = list(list_plays(60, 80, 30, seed=5))
    model = learned(plays)
    titles = [f"t{n}" for n in range(80)]
    found = 0
    for viewer in range(60):
        context = context_of(plays, f"p{viewer}")
        following = f"t{(int(context.history[0][1:]) + 1) % 80}"
        found += following in context.history or following in ids(model, context, tuple(titles))[:3]
    assert found >= 55


def test_a_solve_is_due_taken_at_once_and_changes_nothing_before() -> None:
    plays = list(list_plays(60, 80, 50, seed=6))
    model = learned(plays, solves=False)
    context = context_of(plays, "p3")
    assert model.is_solve_due
    before = ids(model, context, tuple(f"t{n}" for n in range(80)))
    weights = solve(model.snapshot())
    assert not model.is_solve_due
    titles = tuple(f"t{n}" for n in range(80))
    assert ids(model, context, titles) == before
    model.adopt(weights)
    scores = model.ranking(context, titles, 9).scores
    model.adopt(weights)
    assert np.array_equal(scores, model.ranking(context, titles, 9).scores)


plays_strategy = st.lists(
    st.builds(Play, st.sampled_from(["p", "q", "r"]), st.sampled_from(TITLES)), max_size=60
)


@settings(deadline=None, max_examples=30)
@given(plays_strategy)
def test_a_replay_rebuilds_the_same_state(plays: list[Play]) -> None:
    first, second = learned(plays), learned(plays)
    for who in ("p", "q", "r", "nobody"):
        context = context_of(plays, who)
        lists = [model.ranking(context, TITLES, 9) for model in (first, second)]
        assert lists[0].best == lists[1].best
        assert np.array_equal(lists[0].scores, lists[1].scores)


@settings(deadline=None, max_examples=30)
@given(plays_strategy, st.permutations(TITLES))
def test_scores_are_finite_and_do_not_depend_on_the_candidates_order(
    plays: list[Play], order: list[str]
) -> None:
    model = learned(plays)
    context = context_of(plays, "p")
    straight = model.ranking(context, TITLES, 9).scores
    mixed = model.ranking(context, order, 9).scores
    assert np.array_equal(straight, mixed[[order.index(title) for title in TITLES]])
    offered = [n for n, title in enumerate(TITLES) if title not in context.history]
    assert np.isfinite(straight[offered]).all()
    if not model.is_repeating:
        assert np.isneginf(straight[[n for n in range(6) if n not in offered]]).all()


def test_asking_changes_nothing() -> None:
    plays = list(list_plays(10, 30, 20, seed=7))
    asked, silent = Blend(), Blend()
    for start in range(0, len(plays), 20):
        asked.rank(Context(("t1", "new"), "p1"), ("t2", "unknown"), 9)
        learned(plays[start : start + 20], asked)
        learned(plays[start : start + 20], silent)
    context = context_of(plays, "p1")
    titles = tuple(f"t{n}" for n in range(30))
    assert ids(asked, context, titles) == ids(silent, context, titles)


def test_candidates_are_looked_up_again_when_titles_became_known() -> None:
    model = Blend()
    candidates = Candidates.of(TITLES)
    assert model.rank(Context(()), candidates, 1)[0].content_id == "a"
    learned([Play(f"p{n}", "c") for n in range(5)], model)
    assert model.rank(Context(()), candidates, 1)[0].content_id == "c"


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0, -np.inf])), st.integers(1, 5))
def test_the_best_places_are_a_stable_sort(values: list[float], count: int) -> None:
    scores = np.array(values, dtype=np.float32)
    wanted = sorted(
        (n for n in range(len(values)) if values[n] > -np.inf), key=lambda n: -values[n]
    )
    assert best_places(scores, count).tolist() == wanted[:count]
