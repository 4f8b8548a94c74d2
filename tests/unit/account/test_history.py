from __future__ import annotations

import pytest
from msgspec.structs import replace

from agents.account.history import History, history_of
from schemas import codec
from schemas.accounts import (
    AccountEvent,
    CreateProfile,
    Credentials,
    DeleteProfile,
    SetPin,
    SignOut,
    UpdateProfile,
)
from tests.unit.account.story import ACCOUNT_ID, PASSWORD, Story
from tests.unit.account.test_subscriptions import START_MS, an_event


@pytest.fixture
def story() -> Story:
    story = Story(now_ms=START_MS)
    story.sign_up()
    return story


def events_of(story: Story) -> list[AccountEvent]:
    return [event for outcome in story.outcomes for event in outcome.events]


def lines(history: History) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(change.fact, change.by, change.changes) for change in history.changes]


def test_what_changed_when_and_by_whom(story: Story) -> None:
    story.now_ms += 10
    story.tell(an_event(5, until_ms=START_MS + 100))
    story.now_ms += 10
    story.tell(CreateProfile(account_id=ACCOUNT_ID, name="Ada", maturity=12))
    assert story.state is not None
    profile_id = story.state.account.profiles[0].profile_id
    story.tell(UpdateProfile(account_id=ACCOUNT_ID, profile_id=profile_id, maturity=16))
    off = UpdateProfile(account_id=ACCOUNT_ID, profile_id=profile_id, is_personalized=False)
    story.tell(off)
    story.tell(UpdateProfile(account_id=ACCOUNT_ID, profile_id=profile_id, forgets_watched=True))
    story.tell(DeleteProfile(account_id=ACCOUNT_ID, profile_id=profile_id))
    told = history_of(events_of(story), START_MS + 1000)
    assert lines(told) == [
        ("account_created", "viewer", ("subscription none none",)),
        ("subscription_changed", "billing", ("subscription premium active",)),
        ("profile_created", "viewer", (f"profile {profile_id} added, maturity 12",)),
        ("profile_updated", "viewer", (f"profile {profile_id} maturity 12 to 16",)),
        ("profile_updated", "viewer", (f"profile {profile_id} personal recommendations off",)),
        ("profile_updated", "viewer", (f"profile {profile_id} recommendations begun anew",)),
        ("profile_deleted", "viewer", (f"profile {profile_id} removed",)),
        ("active_ended", "time", ("subscription premium cancelled",)),
    ]
    assert told.changes[1].by_name == "evt_0005"
    assert "Ada" not in codec.encode(told).decode()


def test_an_account_is_seen_as_it_was(story: Story) -> None:
    story.now_ms += 10
    story.tell(an_event(5, until_ms=START_MS + 100))
    story.now_ms = START_MS + 500
    story.tell(an_event(9, plan="basic", until_ms=None))
    events = events_of(story)

    def seen(at_ms: int) -> tuple[str, str] | None:
        account = history_of(events, at_ms).account
        if account is None or account.subscription is None:
            return None
        return account.subscription.plan, account.subscription.state

    assert seen(START_MS - 1) is None
    assert seen(START_MS) == ("none", "none")
    assert seen(START_MS + 50) == ("premium", "active")
    assert seen(START_MS + 200) == ("premium", "cancelled")  # it had ended: nobody had to say so
    assert seen(START_MS + 500) == ("basic", "active")


def test_a_pin_and_a_sign_out_leave_a_trace_that_says_no_secret(story: Story) -> None:
    story.tell(CreateProfile(account_id=ACCOUNT_ID, name="Ada"))
    assert story.state is not None
    profile_id = story.state.account.profiles[0].profile_id
    credentials = Credentials(pin="4711", password=PASSWORD)
    story.tell(SetPin(account_id=ACCOUNT_ID, profile_id=profile_id, sealed=b""), credentials)
    story.tell(SignOut(account_id=ACCOUNT_ID, everywhere=True))
    told = history_of(events_of(story), story.now_ms)
    assert told.changes[-2].changes == (f"profile {profile_id} PIN set",)
    assert told.changes[-1].fact == "signed_out_everywhere"
    assert told.account is not None
    assert told.account.signed_out_at_ms == story.now_ms
    assert "4711" not in codec.encode(events_of(story)).decode()


def test_what_an_older_release_did_not_tell_is_said_to_be_missing(story: Story) -> None:
    story.tell(an_event(5))
    events = events_of(story)
    assert history_of(events, story.now_ms).is_complete
    assert not history_of(events[1:], story.now_ms).is_complete
    older = [replace(events[0], subscription=None, profiles=None), *events[1:]]
    told = history_of(older, story.now_ms)
    assert not told.is_complete
    assert told.account is not None
    assert told.account.subscription is not None  # the later events are whole again


def test_what_was_told_twice_counts_once(story: Story) -> None:
    story.tell(an_event(5))
    story.sign_in("a wrong password")
    events = events_of(story)
    told = history_of([*events, *events[1:]], story.now_ms)
    assert told == history_of(events, story.now_ms)
    assert len(told.changes) == len(events)
