from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.recommendation.neighbors import Neighbors
from agents.recommendation.numbers import Ints
from agents.recommendation.windows import OCCURRENCES_MAX, REACH, Windows


def titles(*numbers: int) -> Ints:
    return np.array(numbers, dtype=np.int64)


def watched(windows: Windows, who: str, *numbers: int) -> None:
    for place, title in enumerate(numbers):
        windows.add(who, titles(*numbers[:place][::-1]), title)


def test_a_window_holds_what_was_before_and_comes_after() -> None:
    windows = Windows(plays_max=64)
    watched(windows, "p", 1, 2, 3, 4)
    places, lags = windows.plays_of(titles(3, 9), "q")
    assert (places.tolist(), lags.tolist()) == ([2], [0])
    cells = windows.around(places)[0]
    assert cells[:3].tolist() == [2, 1, 0]
    assert cells[REACH : REACH + 2].tolist() == [4, 0]
    assert windows.last_title("p") == 4


def test_own_plays_are_no_neighbors_and_a_forgotten_viewer_begins_anew() -> None:
    windows = Windows(plays_max=64)
    watched(windows, "p", 1, 2)
    assert not len(windows.plays_of(titles(1, 2), "p")[0])
    windows.forget("p")
    assert windows.last_title("p") == 0
    windows.add("p", titles(), 3)
    places, _ = windows.plays_of(titles(2), "q")
    assert windows.around(places)[0][REACH] == 0


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("pqr"), st.integers(1, 70)), max_size=60))
def test_the_ring_forgets_the_oldest_and_mixes_nobody_up(plays: list[tuple[str, int]]) -> None:
    """Every window found is a stretch of one viewer's own sequence."""
    windows = Windows(plays_max=8)
    sequences: dict[str, list[int]] = {"p": [], "q": [], "r": []}
    for who, title in plays:
        windows.add(who, titles(*sequences[who][::-1]), title)
        sequences[who].append(title)
    latest = [title for _, title in plays[-8:]]
    for title in range(1, 71):
        places, _ = windows.plays_of(titles(title), "")
        assert len(places) == latest.count(title)
        for cells in windows.around(places).tolist():
            stretch = [*cells[:REACH][::-1], title, *cells[REACH:]]
            stretch = [each for each in stretch if each]
            assert any(
                stretch == sequence[start : start + len(stretch)]
                for sequence in sequences.values()
                for start in range(len(sequence))
            )


def test_the_latest_plays_of_a_title_are_bounded() -> None:
    windows = Windows(plays_max=1_000)
    for number in range(OCCURRENCES_MAX + 50):
        windows.add(f"p{number}", titles(), 1)
    places, _ = windows.plays_of(titles(1), "")
    assert sorted(places.tolist()) == list(range(50, OCCURRENCES_MAX + 50))


def test_votes_go_to_what_came_next_at_moments_alike() -> None:
    windows = Windows(plays_max=64)
    for number in range(5):
        watched(windows, f"p{number}", 1, 2, 3)
        watched(windows, f"q{number}", 4, 2, 5)
    shares = np.full(7, 1 / 7, dtype=np.float32)
    votes = Neighbors(windows).vote(titles(2, 1), "new", shares)
    assert votes.strict.argmax() == votes.ahead.argmax() == 3
    assert votes.strict[3] > votes.ahead[3] > votes.ahead[5] > 0
    assert votes.behind.argmax() == 1
    assert votes.session[3] > votes.session[5] > 0
    assert votes.session[0] == votes.ahead[0] == 0
    assert Neighbors(windows).vote(titles(6), "new", shares).ahead.sum() == 0
