from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.recommendation.profile import TITLES_MAX, ProfileState, apply
from schemas.watching import Watch
from tests.builders import NOW_MS, a_watch


def test_a_title_is_resumed_where_it_was_left() -> None:
    profile = ProfileState()
    apply(profile, a_watch("a"))
    assert profile.resume_ms("a") == 0
    apply(profile, a_watch("a", "progressed", playhead_ms=30_000, at_ms=NOW_MS + 1))
    apply(profile, a_watch("a", "progressed", playhead_ms=60_000, at_ms=NOW_MS + 2))
    assert profile.resume_ms("a") == 60_000
    apply(profile, a_watch("a", "abandoned", playhead_ms=61_000, at_ms=NOW_MS + 3))
    assert profile.resume_ms("a") == 61_000


def test_what_was_watched_to_the_end_starts_again_and_stays_completed() -> None:
    profile = ProfileState()
    apply(profile, a_watch("a", "completed", playhead_ms=90_000, completion_ratio=0.95))
    assert profile.is_completed("a")
    assert profile.resume_ms("a") == 0
    after_the_end = a_watch("a", "progressed", playhead_ms=95_000, at_ms=NOW_MS + 1)
    apply(profile, after_the_end)
    assert profile.resume_ms("a") == 0
    again = a_watch("a", "progressed", session_id="other", playhead_ms=40_000, at_ms=NOW_MS + 9_000)
    apply(profile, again)
    assert profile.resume_ms("a") == 40_000
    assert profile.is_completed("a")


def test_a_late_record_of_an_older_session_moves_nothing_back() -> None:
    profile = ProfileState()
    apply(profile, a_watch("a", "progressed", session_id="new", playhead_ms=50_000))
    old = a_watch("a", "abandoned", session_id="old", playhead_ms=20_000, at_ms=NOW_MS - 5)
    assert apply(profile, old) is None
    assert profile.resume_ms("a") == 50_000


def test_the_history_is_newest_first_and_a_watch_learns_from_what_was_before() -> None:
    profile = ProfileState()
    for number, content_id in enumerate(("a", "b", "c")):
        apply(profile, a_watch(content_id, at_ms=NOW_MS + number))
    assert profile.history() == ("c", "b", "a")
    learned = apply(profile, a_watch("b", "completed", at_ms=NOW_MS + 9))
    assert learned is not None
    assert (learned.history, learned.content_id) == (("a",), "b")


def test_a_step_is_learned_once() -> None:
    profile = ProfileState()
    steps = ("started", "progressed", "progressed", "completed", "completed", "abandoned")
    learned = [apply(profile, a_watch("a", step)) for step in steps]
    weights = [each.weight for each in learned if each is not None]
    assert weights == [0.4, 0.3, 0.5]


def test_a_profile_is_bounded() -> None:
    profile = ProfileState()
    for number in range(TITLES_MAX + 10):
        apply(profile, a_watch(f"t{number}", at_ms=NOW_MS + number))
    assert len(profile.titles) == TITLES_MAX
    assert "t0" not in profile.titles


watches = st.lists(
    st.builds(
        a_watch,
        content_id=st.sampled_from("abcd"),
        step=st.sampled_from(["started", "progressed", "completed", "abandoned"]),
        session_id=st.sampled_from(["s1", "s2", "s3"]),
        playhead_ms=st.integers(0, 100_000),
        completion_ratio=st.floats(0, 1),
        at_ms=st.integers(NOW_MS, NOW_MS + 50),
    ),
    max_size=40,
)


@given(watches)
def test_the_resume_point_is_that_of_the_latest_watch(seen: list[Watch]) -> None:
    profile = ProfileState()
    for number, watch in enumerate(seen):
        last = a_watch(
            watch.content_id,
            "progressed",
            session_id=f"only-{number}",
            playhead_ms=watch.playhead_ms,
            at_ms=NOW_MS + 100 + number,
        )
        apply(profile, watch)
        apply(profile, last)
        wanted = watch.playhead_ms if watch.playhead_ms >= 10_000 else 0
        assert profile.resume_ms(watch.content_id) == wanted


@given(watches)
def test_a_record_that_comes_twice_in_a_row_changes_nothing(seen: list[Watch]) -> None:
    profile = ProfileState()
    for watch in seen:
        apply(profile, watch)
        before = (dict(profile.titles), profile.history())
        assert apply(profile, watch) is None
        assert (profile.titles, profile.history()) == before


@given(watches)
def test_completed_is_never_taken_back(seen: list[Watch]) -> None:
    profile = ProfileState()
    completed: set[str] = set()
    for watch in seen:
        apply(profile, watch)
        completed |= {key for key in profile.titles if profile.is_completed(key)}
        assert all(profile.is_completed(key) for key in completed)


def test_what_was_left_soon_is_not_liked_until_it_is_watched_on() -> None:
    profile = ProfileState()
    apply(profile, a_watch("a", "progressed"))
    apply(profile, a_watch("b", at_ms=NOW_MS + 1))
    left = a_watch("b", "abandoned", playhead_ms=20_000, completion_ratio=0.02, at_ms=NOW_MS + 2)
    apply(profile, left)
    assert profile.history() == ("b", "a")
    assert profile.liked() == ("a",)
    on = a_watch("b", "progressed", session_id="on", completion_ratio=0.3, at_ms=NOW_MS + 3)
    apply(profile, on)
    assert profile.liked() == ("b", "a")
    late = a_watch("b", "abandoned", session_id="on", completion_ratio=0.5, at_ms=NOW_MS + 4)
    apply(profile, late)
    assert profile.liked() == ("b", "a")
