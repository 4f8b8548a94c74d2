from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.recommendation.calibration import Choice, calibrate, genre_shares
from agents.recommendation.offers import Offers
from agents.recommendation.picks import _wanted
from tests.builders import a_title

GENRES = ("crime", "kids", "drama")
choices_strategy = st.lists(
    st.builds(
        Choice,
        score=st.floats(-10, 10),
        genres=st.lists(st.sampled_from(GENRES), unique=True).map(tuple),
        genre_titles_max=st.sampled_from([None, 1, 3]),
    ),
    max_size=30,
)
wanted_strategy = st.lists(st.lists(st.sampled_from(GENRES), unique=True).map(tuple), max_size=5)


def test_recent_titles_count_more_and_a_title_is_shared_by_its_genres() -> None:
    shares = genre_shares([("crime", "drama"), ("kids",)])
    assert shares["crime"] == shares["drama"] == pytest.approx(0.5 / 1.95)
    assert shares["kids"] == pytest.approx(0.95 / 1.95)
    assert genre_shares([(), ()]) == {}


def test_a_list_has_the_genres_of_the_history() -> None:
    choices = [Choice(2.0 - 0.01 * n, ("crime",)) for n in range(20)]
    choices += [Choice(1.7 - 0.01 * n, ("kids",)) for n in range(20)]
    order = calibrate(choices, {"crime": 0.7, "kids": 0.3}, 10)
    chosen = [choices[place].genres[0] for place in order]
    assert 2 <= chosen.count("kids") <= 4
    scores = [choices[place].score for place in order]
    assert scores == sorted(scores, reverse=True)
    assert calibrate(choices, {}, 10) == list(range(10))


@given(choices_strategy, wanted_strategy, st.integers(1, 20))
def test_each_is_chosen_once_and_limits_hold(
    choices: list[Choice], history: list[tuple[str, ...]], count: int
) -> None:
    chosen = calibrate(choices, genre_shares(history), count)
    assert len(set(chosen)) == len(chosen) <= count
    for number, place in enumerate(chosen):
        limit = choices[place].genre_titles_max
        for genre in choices[place].genres:
            above = sum(genre in choices[other].genres for other in chosen[:number])
            assert limit is None or above < limit
    if all(choice.genre_titles_max is None for choice in choices):
        assert len(chosen) == min(count, len(choices))


def test_a_short_history_wants_the_genres_of_the_ranking() -> None:
    offers = Offers()
    offers.put("seen", a_title("seen", genres=("crime",)))
    choices = [Choice(1.0, ("kids",)), Choice(0.5, ("kids",))]
    assert _wanted((), choices, offers) == {}
    assert _wanted(("seen",), choices, offers) == pytest.approx({"crime": 1 / 11, "kids": 10 / 11})
    assert _wanted(("seen",) * 90, choices, offers)["crime"] == pytest.approx(0.9)
