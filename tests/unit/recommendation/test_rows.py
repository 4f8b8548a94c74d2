from __future__ import annotations

import random
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agents.recommendation.filters import Viewer, may_be_offered
from agents.recommendation.model import Context
from agents.recommendation.tastes import Tastes
from schemas.catalog import Editorial, Title
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
    found = listing(tastes, titles).rows(profile_id, viewer, NOW_MS, count=20)
    return {row.row: row for row in found}


def listing(tastes: Tastes, titles: dict[str, Title]) -> Tastes:
    """The same, with these titles in its catalog."""
    for content_id, title in titles.items():
        tastes.offers.put(content_id, title)
    return tastes


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
    assert ids(found["trending"]) == ["b", "a"]
    assert "continue-watching" not in found
    assert ids(found["top-picks"])[:2] == ["b", "a"]


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
    found = listing(Tastes(), titles).rows("p", ADULT, NOW_MS, count=5)
    assert [len(row.items) for row in found] == [5]


def watched_in(region: str, os: str, content_id: str, count: int) -> list[Watch]:
    name = f"{region}-{os}-{content_id}"
    return [
        a_watch(content_id, profile_id=f"{name}-{n}", region=region, os=os) for n in range(count)
    ]


def first_picks(tastes: Tastes, region: str, os: str) -> list[str]:
    viewer = Viewer(maturity=18, region=region, plan="basic", os=os)
    found = rows(tastes, catalog(*map(a_title, "abcd")), viewer=viewer, profile_id="nobody")
    return ids(found["top-picks"])


def test_who_watched_nothing_gets_what_its_region_and_such_devices_watch() -> None:
    watches = [
        *watched_in("DE", "webOS", "a", 60),
        *watched_in("DE", "iOS", "b", 50),
        *watched_in("SE", "webOS", "c", 40),
        *watched_in("SE", "iOS", "d", 30),
    ]
    random.Random(7).shuffle(watches)
    tastes = fed(*watches)
    assert first_picks(tastes, "DE", "webOS")[0] == "a"
    assert first_picks(tastes, "DE", "iOS")[0] == "b"
    assert first_picks(tastes, "SE", "webOS")[0] == "c"
    assert first_picks(tastes, "SE", "iOS")[0] == "d"
    assert first_picks(tastes, "", "") == first_picks(tastes, "FR", "tvOS")
    assert first_picks(tastes, "SE", "")[:2] == ["c", "d"]


def test_a_few_watches_of_a_region_say_little() -> None:
    tastes = fed(*watched_in("DE", "", "a", 60), *watched_in("SE", "", "b", 2))
    assert first_picks(tastes, "SE", "")[0] == "a"


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
    tastes = listing(fed(*watches), titles)
    completed = {
        watch.content_id
        for watch in watches
        if watch.profile_id == "profile-1" and watch.step == "completed"
    }
    found = tastes.rows("profile-1", viewer, NOW_MS, count=20)
    for row in found:
        assert row.items
        names = ids(row)
        assert len(set(names)) == len(names)
        for item in row.items:
            assert may_be_offered(titles[item.content_id], viewer, NOW_MS)
            assert item.content_id not in completed
            assert item.reason
    again = listing(fed(*watches), titles)
    assert found == again.rows("profile-1", viewer, NOW_MS, count=20)


def test_a_profile_that_is_forgotten_begins_anew() -> None:
    tastes = Tastes()
    tastes.take(a_watch("a", "progressed", playhead_ms=60_000), 0, 0)
    assert len(tastes) == 1
    tastes.forget("profile-1")
    tastes.forget("nobody")
    assert len(tastes) == 0
    assert tastes.resume_ms("profile-1", "a") == 0


def test_new_titles_are_found_by_what_is_written_of_them_without_a_watch() -> None:
    tastes = fed(a_watch("seen", "completed"))
    age_ms = 3 * DAY_MS
    titles = catalog(
        a_title("seen", genres=("crime", "drama"), people=("Ida Lund",)),
        a_title("kids", genres=("kids",)),
        a_title("crime", genres=("crime",), added_at_ms=NOW_MS - age_ms),
        a_title("hers", genres=("drama",), people=("Ida Lund",), added_at_ms=NOW_MS - age_ms),
    )
    found = rows(tastes, titles)
    assert ids(found["similar:seen"]) == ["hers", "crime"]
    assert [item.reason for item in found["similar:seen"].items] == [
        "Also with Ida Lund",
        "Also crime",
    ]
    assert ids(found["new"])[-1] == "kids"


def test_a_region_has_its_own_trend() -> None:
    watches = [a_watch("everywhere", profile_id=f"p{n}", region="US") for n in range(5)]
    tastes = fed(*watches, a_watch("here", profile_id="p9", region="DE"))
    found = rows(tastes, catalog(a_title("everywhere"), a_title("here")), profile_id="nobody")
    assert ids(found["trending"]) == ["here", "everywhere"]
    assert found["trending"].items[0].reason == "Popular now in DE"
    assert found["trending"].items[1].reason == "Popular now"


def many(**changes: Any) -> dict[str, Title]:
    return catalog(*(a_title(f"t{n}", **changes) for n in range(40)))


def test_an_editor_pins_buries_and_caps() -> None:
    tastes = fed(a_watch("t0", "completed"))
    titles = many(genres=("crime",), editorial=Editorial(genre_titles_max=3)) | catalog(
        a_title("pinned", editorial=Editorial(pinned_place=2)),
        a_title("hidden", editorial=Editorial(pinned_place=1, is_buried=True)),
        a_title("adult", maturity=21, editorial=Editorial(pinned_place=1)),
        a_title("plain"),
    )
    found = rows(tastes, titles)
    picks = ids(found["top-picks"])
    assert picks[1] == "pinned"
    assert found["top-picks"].items[1].reason == "Chosen by our editors"
    assert "plain" in picks
    assert sum(titles[name].genres == ("crime",) for name in picks) == 3
    assert all("hidden" not in ids(row) and "adult" not in ids(row) for row in found.values())


def test_a_boost_moves_a_title_up() -> None:
    tastes = fed(a_watch("t0", "completed"))
    last = ids(rows(tastes, many())["top-picks"])[6]
    boosted = many() | catalog(a_title(last, editorial=Editorial(boost=50.0)))
    assert ids(rows(fed(a_watch("t0", "completed")), boosted)["top-picks"])[0] == last


def test_one_place_in_ten_is_drawn_and_says_how_probable_it_was() -> None:
    titles = many()
    drawn: Counter[str] = Counter()
    propensities: dict[str, float] = {}
    for number in range(400):
        profile_id = f"p{number}"
        tastes = fed(a_watch("t0", "completed", profile_id=profile_id))
        items = rows(tastes, titles, profile_id=profile_id)["top-picks"].items
        assert [place for place, item in enumerate(items) if item.propensity < 1] == [7, 17]
        drawn[items[7].content_id] += 1
        propensities[items[7].content_id] = items[7].propensity
    for content_id, propensity in propensities.items():
        assert abs(drawn[content_id] / 400 - propensity) < 0.1
    assert len(drawn) > 5


def test_a_changed_or_removed_title_is_offered_as_it_is_now() -> None:
    tastes = listing(Tastes(), catalog(a_title("a"), a_title("b")))
    tastes.offers.put("a", None)
    tastes.offers.put("b", a_title("b", regions=("US",)))
    assert tastes.rows("p", ADULT, NOW_MS, count=20) == ()
    tastes.offers.put("a", a_title("a"))
    assert ids(tastes.rows("p", ADULT, NOW_MS, count=20)[0]) == ["a"]


@given(titles_strategy, st.sampled_from([0, 12, 18]), st.sampled_from(["DE", "US", "FR"]))
def test_columns_say_what_the_filter_says(
    titles: dict[str, Title], maturity: int, region: str
) -> None:
    viewer = Viewer(maturity=maturity, region=region, plan="basic")
    offers = listing(Tastes(), titles).offers
    expected = [may_be_offered(title, viewer, NOW_MS) for title in titles.values()]
    assert offers.open_to(viewer, NOW_MS).tolist() == expected


def test_the_parts_of_the_experts_add_up_to_the_order_of_the_ranking() -> None:
    tastes = Tastes()
    offset = 0
    for n in range(30):
        for content_id in ("a", "b", "c", "d")[: 2 + n % 3]:
            tastes.take(a_watch(content_id, profile_id=f"p{n}", at_ms=NOW_MS + offset), 0, offset)
            offset += 1
    tastes.take(a_watch("a", "completed"), 0, offset)
    listing(tastes, catalog(*(a_title(content_id) for content_id in "abcd")))
    ranked = [
        each.content_id
        for each in tastes.model.rank(Context(("a",), "profile-1"), ["b", "c", "d"], 3)
    ]
    scores = {
        content_id: sum(
            part.part for part in tastes.explain("profile-1", content_id, NOW_MS).experts
        )
        for content_id in ("b", "c", "d")
    }
    assert sorted(scores, key=lambda content_id: -scores[content_id]) == ranked
    assert tastes.explain("profile-1", "a", NOW_MS).is_completed
    assert tastes.similar("unknown", 5) == ()


def test_what_was_left_soon_speaks_for_nothing() -> None:
    left = a_watch("left", "abandoned", completion_ratio=0.01, at_ms=NOW_MS + 1)
    tastes = fed(a_watch("seen", "completed"), a_watch("left"), left)
    titles = catalog(
        a_title("seen", genres=("crime",)),
        a_title("left", genres=("kids",)),
        *(a_title(f"crime-{n}", genres=("crime",)) for n in range(3)),
        *(a_title(f"kids-{n}", genres=("kids",)) for n in range(3)),
    )
    found = rows(tastes, titles)
    assert "similar:left" not in found
    assert ids(found["similar:seen"]) == ["crime-0", "crime-1", "crime-2"]
    assert ids(found["new"])[:3] == ["crime-0", "crime-1", "crime-2"]
