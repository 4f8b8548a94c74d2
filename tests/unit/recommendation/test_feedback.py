from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agents.recommendation.filters import Viewer
from agents.recommendation.profile import FEEDBACK_TITLES_MAX, ProfileState, apply, heed
from agents.recommendation.tastes import Tastes
from schemas.recommendations import RecommendationRow, TitleFeedback
from tests.builders import NOW_MS, a_title, a_watch, some_feedback

ADULT = Viewer(maturity=18, region="DE", plan="basic")
NAMES = "abcdefgh"


def heeded(tastes: Tastes, *said: TitleFeedback) -> Tastes:
    for each in said:
        kept = None if each.says_nothing else each
        tastes.heed(each.key, kept, tastes.heeded_offset + 1)
    return tastes


def rows(tastes: Tastes, profile_id: str = "profile-1") -> dict[str, RecommendationRow]:
    found = tastes.rows(profile_id, ADULT, NOW_MS, count=20)
    return {row.row: row for row in found}


def ids(found: dict[str, RecommendationRow], row: str) -> list[str]:
    return [item.content_id for item in found[row].items] if row in found else []


def offered(found: dict[str, RecommendationRow], *, without: tuple[str, ...] = ()) -> set[str]:
    return {item for row in found if row not in without for item in ids(found, row)}


def watched_by_others(viewers: int = 30) -> Tastes:
    """So many viewers went through the titles in their order."""
    tastes = Tastes()
    for name in NAMES:
        tastes.offers.put(name, a_title(name))
    offset = 0
    for n in range(viewers):
        for name in NAMES:
            tastes.take(a_watch(name, profile_id=f"p{n}", at_ms=NOW_MS + offset), 0, offset)
            offset += 1
    return tastes


SAID = st.builds(
    some_feedback,
    content_id=st.sampled_from(NAMES),
    thumb=st.sampled_from(["", "up", "down"]),
    is_hidden=st.booleans(),
    is_favorite=st.booleans(),
    at_ms=st.integers(NOW_MS, NOW_MS + 9),
)
WATCHED = st.lists(
    st.builds(
        a_watch,
        content_id=st.sampled_from(NAMES),
        step=st.sampled_from(["started", "progressed", "completed", "abandoned"]),
        playhead_ms=st.sampled_from([0, 31_000]),
    ),
    max_size=6,
)


@given(watches=WATCHED, said=st.lists(SAID, max_size=8))
def test_feedback_is_heeded_in_every_row(watches: list[Any], said: list[TitleFeedback]) -> None:
    tastes = watched_by_others(2)
    for offset, watch in enumerate(watches):
        tastes.take(watch, 1, offset)
    found = rows(heeded(tastes, *said))
    last = {each.content_id: each for each in said}
    hidden = {name for name, each in last.items() if each.is_hidden}
    down = {name for name, each in last.items() if each.thumb == "down"}
    favorites = {name for name, each in last.items() if each.is_favorite}
    assert not offered(found) & hidden
    assert not offered(found, without=("continue-watching", "my-list")) & down
    assert set(ids(found, "my-list")) == favorites - hidden


@given(watches=WATCHED, said=st.lists(SAID, max_size=8))
def test_what_is_taken_back_leaves_no_trace(watches: list[Any], said: list[TitleFeedback]) -> None:
    tastes = watched_by_others(2)
    for offset, watch in enumerate(watches):
        tastes.take(watch, 1, offset)
    before = rows(tastes)
    heeded(tastes, *said, *(some_feedback(each.content_id) for each in said))
    assert rows(tastes) == before
    assert tastes.feedback("profile-1") == ()


def test_a_new_profiles_list_is_what_its_first_picks_come_from() -> None:
    tastes = watched_by_others()
    before = rows(tastes)
    found = rows(heeded(tastes, some_feedback("c", is_favorite=True)))
    assert ids(found, "my-list") == ["c"]
    assert ids(found, "top-picks")[0] == "d"
    assert found["top-picks"].items[0].reason == "Because you like C"
    assert found["because:c"].reason == "Because you like C"
    assert ids(before, "top-picks")[0] != "d"
    assert ids(rows(tastes, "profile-2"), "top-picks") == ids(before, "top-picks")


def test_a_thumb_up_counts_as_watched_then_and_a_thumb_down_as_never() -> None:
    profile = ProfileState()
    for at_ms, name in enumerate("abc"):
        apply(profile, a_watch(name, "completed", at_ms=NOW_MS + at_ms))
    assert profile.taste() == profile.history() == ("c", "b", "a")
    heed(profile, "a", some_feedback("a", thumb="up", at_ms=NOW_MS + 9))
    heed(profile, "d", some_feedback("d", is_favorite=True, at_ms=NOW_MS + 8))
    heed(profile, "b", some_feedback("b", thumb="down", at_ms=NOW_MS + 9))
    assert profile.taste() == profile.liked() == ("a", "d", "c")
    heed(profile, "c", some_feedback("c", is_hidden=True, thumb="up", at_ms=NOW_MS + 9))
    assert profile.taste() == ("a", "d")
    assert profile.history() == ("c", "b", "a")


def test_what_was_left_at_once_speaks_again_where_it_was_praised() -> None:
    profile = ProfileState()
    apply(profile, a_watch("a", "abandoned", completion_ratio=0.01))
    assert profile.liked() == ()
    heed(profile, "a", some_feedback("a", thumb="up"))
    assert profile.liked() == ("a",)


def test_feedback_alone_makes_no_plain_history() -> None:
    tastes = heeded(watched_by_others(), some_feedback("c", thumb="up"))
    explained = tastes.explain("profile-1", "d", NOW_MS)
    assert (explained.history_count, explained.is_hidden) == (0, False)
    assert max(explained.experts, key=lambda each: each.part).part > 0
    hidden = heeded(tastes, some_feedback("d", is_hidden=True))
    assert hidden.explain("profile-1", "d", NOW_MS).is_hidden


def test_a_profile_says_it_of_so_many_titles_and_no_more() -> None:
    tastes = Tastes()
    heeded(tastes, *(some_feedback(f"t{n}", thumb="up") for n in range(FEEDBACK_TITLES_MAX)))
    assert not tastes.has_room_for(some_feedback("one-more", thumb="up"))
    assert tastes.has_room_for(some_feedback("t7", thumb="down"))
    assert tastes.has_room_for(some_feedback("one-more"))
    tastes.forget("profile-1")
    assert tastes.has_room_for(some_feedback("one-more", thumb="up"))


def test_the_newest_word_of_a_profile_comes_first() -> None:
    tastes = heeded(
        Tastes(),
        some_feedback("a", thumb="up"),
        some_feedback("b", is_hidden=True),
        some_feedback("a", thumb="down"),
    )
    assert [said.content_id for said in tastes.feedback("profile-1")] == ["a", "b"]
    assert tastes.feedback("profile-2") == ()
