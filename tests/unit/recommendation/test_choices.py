"""Recommendations that a profile turned off, or let begin anew."""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from agents.recommendation.filters import Viewer
from agents.recommendation.tastes import Tastes
from infra.operations.rebuilding import TwoModels
from schemas.accounts import Account, Profile
from schemas.recommendations import RecommendationRow, TitleFeedback
from schemas.subscriptions import Subscription
from schemas.watching import Watch
from tests.builders import NOW_MS, a_title, a_watch, some_feedback

ADULT = Viewer(maturity=18, region="DE", plan="basic")
NAMES = "abcdefgh"
TITLES = {name: a_title(name, genres=(name,)) for name in NAMES}
ANEW_MS = NOW_MS + 1_000


class Log(NamedTuple):
    """What every start of the agent reads."""

    account: Account
    said: tuple[TitleFeedback, ...]
    watches: tuple[Watch, ...]


def an_account(**changes: Any) -> Account:
    profile = Profile(profile_id="profile-1", name="Ada", created_at_ms=NOW_MS, **changes)
    return Account(
        account_id="account-1",
        version=1,
        created_at_ms=NOW_MS,
        subscription=Subscription(plan="basic", state="active", since_ms=0),
        profiles=(profile,),
    )


def others() -> list[Watch]:
    return [
        a_watch(name, profile_id=f"p{n}", session_id=f"{n}{name}", at_ms=NOW_MS - 9_000 + n)
        for n in range(20)
        for name in NAMES
    ]


def started(log: Log, *, decided_first: bool = True) -> Tastes:
    """An agent that read all of it, or that ran when the account decided."""
    tastes = Tastes()
    for name, title in TITLES.items():
        tastes.offers.put(name, title)
    if decided_first:
        tastes.mind(log.account)
    for offset, said in enumerate(log.said):
        tastes.heed(said.key, said, offset)
    for offset, watch in enumerate([*others(), *log.watches]):
        tastes.take(watch, 0, offset)
    if not decided_first:
        tastes.mind(log.account)
    return tastes


def rows(tastes: Tastes, profile_id: str = "profile-1") -> tuple[RecommendationRow, ...]:
    return tastes.rows(profile_id, ADULT, ANEW_MS + 1_000, count=20)


def names(tastes: Tastes) -> set[str]:
    return {row.row for row in rows(tastes)}


WATCHES = st.lists(
    st.builds(
        a_watch,
        content_id=st.sampled_from(NAMES),
        step=st.sampled_from(["started", "progressed", "completed"]),
        playhead_ms=st.sampled_from([0, 31_000]),
        at_ms=st.integers(NOW_MS, ANEW_MS - 1),
    ),
    max_size=6,
)
SAID = st.lists(
    st.builds(
        some_feedback,
        content_id=st.sampled_from(NAMES),
        thumb=st.sampled_from(["up", "down"]),
        is_hidden=st.booleans(),
        is_favorite=st.booleans(),
        at_ms=st.integers(NOW_MS, ANEW_MS - 1),
    ),
    max_size=4,
    unique_by=lambda said: said.content_id,
)


@given(watches=WATCHES, said=SAID, decided_first=st.booleans())
def test_who_begins_anew_is_offered_what_one_who_never_watched_is(
    watches: list[Watch], said: list[TitleFeedback], *, decided_first: bool
) -> None:
    anew = an_account(personalized_since_ms=ANEW_MS)
    begun = started(Log(anew, tuple(said), tuple(watches)), decided_first=decided_first)
    assert all(begun.resume_ms("profile-1", name) == 0 for name in NAMES)
    assert begun.feedback("profile-1") == ()
    assert set(begun.void_feedback("profile-1")) == {each.key for each in said}
    never = started(Log(anew, (), ()))
    if decided_first:  # else what others are offered counts it still: it names nobody
        assert rows(begun) == rows(never)
    assert names(begun) == names(never)


def test_what_is_watched_and_said_after_it_counts() -> None:
    later = a_watch("b", "completed", at_ms=ANEW_MS)
    log = Log(
        an_account(personalized_since_ms=ANEW_MS),
        (some_feedback("c", is_favorite=True, at_ms=ANEW_MS),),
        (a_watch("a"), later),
    )
    for decided_first in (True, False):
        tastes = started(log, decided_first=decided_first)
        assert tastes.explain("profile-1", "d", ANEW_MS).history_count == 1
        assert "my-list" in names(tastes)
        assert tastes.void_feedback("profile-1") == ()


def test_what_is_void_is_kept_until_the_log_has_it_no_more() -> None:
    said = some_feedback("a", is_hidden=True)
    tastes = started(Log(an_account(personalized_since_ms=ANEW_MS), (said,), ()))
    assert tastes.void_feedback("profile-1") == (said.key,)
    tastes.heed(said.key, None, 1)
    assert tastes.void_feedback("profile-1") == ()


@given(watches=WATCHES, decided_first=st.booleans())
def test_turned_off_it_is_offered_nothing_for_what_it_watched(
    watches: list[Watch], *, decided_first: bool
) -> None:
    off = an_account(is_personalized=False)
    said = (some_feedback("h", is_hidden=True), some_feedback("g", is_favorite=True))
    tastes = started(Log(off, said, tuple(watches)), decided_first=decided_first)
    assert names(tastes) <= {"continue-watching", "my-list", "top-picks", "trending", "new"}
    assert "my-list" in names(tastes)
    assert "h" not in {item.content_id for row in rows(tastes) for item in row.items}
    explained = tastes.explain("profile-1", "b", ANEW_MS)
    assert (explained.history_count, explained.likeness) == (0, 0.0)
    for row in rows(tastes):
        assert row.row != "top-picks" or all("Because" not in item.reason for item in row.items)


def test_turned_off_it_goes_on_where_it_stopped() -> None:
    stopped = a_watch("a", "progressed", playhead_ms=31_000)
    tastes = started(Log(an_account(is_personalized=False), (), (stopped,)))
    assert tastes.resume_ms("profile-1", "a") == 31_000
    assert "continue-watching" in names(tastes)


def test_turned_off_it_teaches_nobody_anything() -> None:
    watches = tuple(a_watch(name, "completed", at_ms=NOW_MS + n) for n, name in enumerate("hgfe"))
    without = rows(started(Log(an_account(), (), ())), "p1")
    assert rows(started(Log(an_account(is_personalized=False), (), watches)), "p1") == without
    assert rows(started(Log(an_account(), (), watches)), "p1") != without


def test_a_model_built_beside_heeds_it_too() -> None:
    tastes = started(Log(an_account(is_personalized=False), (), ()))
    fresh = Tastes(beside=tastes)
    fresh.take(a_watch("a", "completed"), 0, 0)
    assert fresh.explain("profile-1", "b", NOW_MS).history_count == 0
    for choices, learned in ((None, 1), (tastes.choices, 0)):
        both = TwoModels(0, 0, TITLES, 1, choices)
        both.take(a_watch("a", "completed"))
        assert both.comparison.learned_new == learned
