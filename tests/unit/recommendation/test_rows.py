from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.recommendation.filters import Viewer, may_be_offered
from agents.recommendation.tastes import Tastes
from schemas.catalog import Title
from schemas.recommendations import RecommendationRow
from schemas.watching import Watch
from tests.builders import NOW_MS, a_title, a_watch

ADULT = Viewer(maturity=18, region="DE", plan="basic")
DAY_MS = 86_400_000


def catalog(*titles: Title) -> dict[str, Title]:
    return {title.content_id: title for title in titles}


def rows(
    tastes: Tastes,
    titles: dict[str, Title],
    *,
    viewer: Viewer = ADULT,
    profile_id: str = "profile-1",
) -> dict[str, RecommendationRow]:
    found = tastes.rows(profile_id, titles, viewer, NOW_MS, count=20)
    return {row.row: row for row in found}


def ids(row: RecommendationRow | None) -> list[str]:
    return [] if row is None else [item.content_id for item in row.items]


def fed(*watches: Watch) -> Tastes:
    tastes = Tastes()
    for offset, watch in enumerate(watches):
        tastes.take(watch, 0, offset)
    return tastes


def test_a_new_profile_gets_what_is_popular_now() -> None:
    tastes = fed(
        *(a_watch("b", profile_id=f"p{n}") for n in range(3)), a_watch("a", profile_id="p9")
    )
    found = rows(tastes, catalog(a_title("a"), a_title("b"), a_title("c")), profile_id="nobody")
    assert ids(found["popular"]) == ["b", "a"]
    assert "continue-watching" not in found
    assert "top-picks" not in found


def test_where_nothing_was_watched_the_newest_come_first() -> None:
    titles = catalog(a_title("old", added_at_ms=NOW_MS - 90 * DAY_MS), a_title("new"))
    assert ids(rows(Tastes(), titles)["new"]) == ["new"]
    old = catalog(a_title("old", added_at_ms=NOW_MS - 90 * DAY_MS))
    assert ids(rows(Tastes(), old)["new"]) == ["old"]


def test_each_watched_title_changes_the_rows_and_says_why() -> None:
    tastes = Tastes()
    offset = 0
    for n in range(30):
        for content_id in ("a", "b", "c"):
            tastes.take(a_watch(content_id, profile_id=f"p{n}", at_ms=NOW_MS + offset), 0, offset)
            offset += 1
    titles = catalog(*(a_title(content_id) for content_id in "abcd"))
    before = rows(tastes, titles)
    tastes.take(a_watch("a", "completed"), 0, offset)
    after = rows(tastes, titles)
    assert before != after
    assert ids(after["because:a"]) == ["b", "c"]
    assert after["because:a"].reason == "Because you watched A"
    assert after["top-picks"].items[0].reason == "Because you watched A"
    assert all("a" not in ids(row) for row in after.values())


def test_what_was_begun_is_continued_and_stands_nowhere_else() -> None:
    tastes = fed(a_watch("a", "progressed", playhead_ms=754_000))
    found = rows(tastes, catalog(a_title("a"), a_title("b")))
    item = found["continue-watching"].items[0]
    assert (item.content_id, item.playhead_ms) == ("a", 754_000)
    assert item.reason == "You stopped at 12:34"
    others = [row for name, row in found.items() if name != "continue-watching"]
    assert all("a" not in ids(row) for row in others)


def test_filters_hold() -> None:
    for changes in (
        {"listed": False},
        {"maturity": 21},
        {"regions": ("US",)},
        {"plans": ("premium",)},
        {"available_from_ms": NOW_MS + 1},
        {"available_until_ms": NOW_MS},
    ):
        assert not may_be_offered(a_title(**changes), ADULT, NOW_MS)
    assert may_be_offered(
        a_title(
            maturity=18,
            regions=("DE",),
            plans=("basic",),
            available_from_ms=NOW_MS,
            available_until_ms=NOW_MS + 1,
        ),
        ADULT,
        NOW_MS,
    )


def test_a_record_is_learned_once() -> None:
    tastes = Tastes()
    assert tastes.take(a_watch("a"), 3, 7)
    assert not tastes.take(a_watch("a"), 3, 7)
    assert not tastes.take(a_watch("a"), 3, 6)
    assert tastes.has_applied(3, 7)
    assert not tastes.has_applied(2, 7)


def test_rows_are_cut_to_the_count() -> None:
    titles = catalog(*(a_title(f"t{n}") for n in range(30)))
    found = Tastes().rows("p", titles, ADULT, NOW_MS, count=5)
    assert [len(row.items) for row in found] == [5]


NAMES = [f"t{n}" for n in range(8)]
titles_strategy = st.fixed_dictionaries(
    {
        name: st.builds(
            a_title,
            content_id=st.just(name),
            listed=st.booleans(),
            maturity=st.sampled_from([0, 12, 18]),
            regions=st.sampled_from([(), ("DE",), ("US",)]),
            plans=st.sampled_from([(), ("basic",), ("premium",)]),
            available_until_ms=st.sampled_from([None, NOW_MS, NOW_MS + 1]),
        )
        for name in NAMES
    }
)
watches_strategy = st.lists(
    st.builds(
        a_watch,
        content_id=st.sampled_from([*NAMES, "gone"]),
        step=st.sampled_from(["started", "progressed", "completed", "abandoned"]),
        profile_id=st.sampled_from(["profile-1", "profile-2"]),
        session_id=st.sampled_from(["s1", "s2"]),
        playhead_ms=st.integers(0, 100_000),
        at_ms=st.integers(NOW_MS - 1000, NOW_MS),
    ),
    max_size=40,
)


@given(titles_strategy, watches_strategy, st.sampled_from([0, 12, 18]))
def test_nothing_forbidden_or_completed_is_ever_offered(
    titles: dict[str, Title], watches: list[Watch], maturity: int
) -> None:
    viewer = Viewer(maturity=maturity, region="DE", plan="basic")
    tastes = fed(*watches)
    completed = {
        watch.content_id
        for watch in watches
        if watch.profile_id == "profile-1" and watch.step == "completed"
    }
    found = tastes.rows("profile-1", titles, viewer, NOW_MS, count=20)
    for row in found:
        assert row.items
        names = ids(row)
        assert len(set(names)) == len(names)
        for item in row.items:
            assert may_be_offered(titles[item.content_id], viewer, NOW_MS)
            assert item.content_id not in completed
            assert item.reason
    assert found == fed(*watches).rows("profile-1", titles, viewer, NOW_MS, count=20)


def test_a_profile_that_is_forgotten_begins_anew() -> None:
    tastes = Tastes()
    tastes.take(a_watch("a", "progressed", playhead_ms=60_000), 0, 0)
    assert len(tastes) == 1
    tastes.forget("profile-1")
    tastes.forget("nobody")
    assert len(tastes) == 0
    assert tastes.resume_ms("profile-1", "a") == 0
