"""Billing's events in any order, twice, late, amid an operator's words: a model says what holds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from agents.account.history import history_of
from agents.account.outcome import profile_facts
from schemas.accounts import AccountEvent, ApplyBillingEvent, BillingOutcome, SetSubscription
from schemas.envelope import Refused
from schemas.subscriptions import (
    BILLING_STATES,
    BillingEventType,
    Subscription,
    SubscriptionState,
)
from tests.unit.account.story import ACCOUNT_ID, Story

START_MS = 1_795_300_000_000
TYPES: list[BillingEventType] = list(BILLING_STATES)


def an_event(number: int = 1, **changes: Any) -> ApplyBillingEvent:
    event = ApplyBillingEvent(
        account_id=ACCOUNT_ID,
        event_id=f"evt_{number:04}",
        event_type="subscription.activated",
        occurred_at_ms=START_MS + number,
        plan="premium",
        until_ms=START_MS + 30 * 86_400_000,
    )
    return replace(event, **changes)


def billed(story: Story, event: ApplyBillingEvent) -> BillingOutcome:
    answer = story.tell(event).answer
    assert isinstance(answer, BillingOutcome), answer
    return answer


def subscription_of(story: Story) -> Subscription:
    assert story.state is not None
    return story.state.account.subscription


@pytest.fixture
def story() -> Story:
    story = Story()
    story.sign_up()
    return story


def test_an_event_counts_once_and_says_so(story: Story) -> None:
    assert billed(story, an_event()).outcome == "applied"
    version = story.state.account.version if story.state else 0
    again = billed(story, an_event())
    assert (again.outcome, again.subscription.state) == ("repeated", "active")
    assert story.state is not None
    assert story.state.account.version == version


def test_one_that_happened_before_what_is_known_changes_nothing(story: Story) -> None:
    billed(story, an_event(5))
    late = billed(story, an_event(4, event_type="subscription.cancelled"))
    assert (late.outcome, late.subscription.state) == ("outdated", "active")


def test_the_same_id_with_another_content_is_not_taken_twice(story: Story) -> None:
    billed(story, an_event(1))
    changed = an_event(1, occurred_at_ms=START_MS + 99, event_type="subscription.cancelled")
    assert billed(story, changed).outcome == "repeated"


def test_an_operators_word_is_newer_than_what_happened_before_it(story: Story) -> None:
    billed(story, an_event(1))
    story.now_ms += 1000
    story.tell(SetSubscription(account_id=ACCOUNT_ID, plan="basic", state="active", by="operator"))
    assert billed(story, an_event(2)).outcome == "outdated"
    assert subscription_of(story).plan == "basic"
    later = an_event(3, occurred_at_ms=story.now_ms + 1)
    assert billed(story, later).outcome == "applied"


def test_unknown_plans_and_accounts_are_refused_by_name(story: Story) -> None:
    for told, reason in ((story, "unknown-plan"), (Story(), "unknown-account")):
        refused = told.tell(an_event(plan="gold")).answer
        assert isinstance(refused, Refused)
        assert refused.reason == reason


@pytest.mark.parametrize(
    ("state", "after", "plays_before", "plays_after"),
    [
        ("trial", "cancelled", True, False),
        ("active", "cancelled", True, False),
        ("grace", "cancelled", True, False),
        ("paused", "active", False, True),
        ("cancelled", "cancelled", True, False),
        ("none", "none", False, False),
    ],
)
def test_a_date_that_is_past_changes_the_state_by_itself(
    state: SubscriptionState, after: str, plays_before: bool, plays_after: bool
) -> None:
    told = Subscription(plan="premium", state=state, since_ms=0, until_ms=1000)
    playing = {"trial", "active", "grace"}

    def plays(now_ms: int) -> bool:
        return told.at(now_ms).state in playing or told.at(now_ms).is_paid_at(now_ms)

    assert told.at(999) == told
    assert told.at(1000).state == after
    assert (plays(999), plays(1000)) == (plays_before, plays_after)
    assert told.at(1000).at(10**15) == told.at(1000)  # nothing further happens by itself


@given(
    st.sampled_from(["trial", "active", "grace", "paused", "cancelled", "none"]),
    st.none() | st.integers(0, 100),
    st.integers(0, 100),
    st.integers(0, 100),
)
def test_judging_twice_is_judging_once(
    state: SubscriptionState, until_ms: int | None, first: int, second: int
) -> None:
    told = Subscription(plan="premium", state=state, since_ms=0, until_ms=until_ms)
    early, late = sorted((first, second))
    assert told.at(early).at(late) == told.at(late)


EVENTS = st.builds(
    an_event,
    number=st.integers(1, 12),
    event_type=st.sampled_from(TYPES),
    occurred_at_ms=st.integers(START_MS, START_MS + 6),
    plan=st.sampled_from(["basic", "premium"]),
    until_ms=st.none() | st.integers(START_MS, START_MS + 40),
)


@given(st.lists(EVENTS, max_size=8, unique_by=lambda e: e.event_id), st.randoms())
def test_every_order_of_arrival_comes_to_the_same(
    events: list[ApplyBillingEvent], random: Any
) -> None:
    ends = []
    for _ in range(3):
        story = Story()
        story.sign_up()
        random.shuffle(events)
        for event in [*events, *events[:2]]:
            story.tell(event)
        ends.append(subscription_of(story))
    assert ends[0] == ends[1] == ends[2]


class Billing(RuleBasedStateMachine):
    """The model: the newest word that was said, and every state that there ever was."""

    def __init__(self) -> None:
        super().__init__()
        self.story = Story(now_ms=START_MS)
        self.story.sign_up()
        self.newest = (0, "")
        self.told = subscription_of(self.story)
        self.taken: dict[str, ApplyBillingEvent] = {}
        self.events: list[AccountEvent] = [e for o in self.story.outcomes for e in o.events]
        self.states = {1: self.story.state}

    def _tell(self, command: Any) -> Any:
        outcome = self.story.tell(command)
        self.events += outcome.events
        if outcome.state is not None:
            self.states[outcome.state.account.version] = outcome.state
        return outcome.answer

    @rule(event=EVENTS)
    def billing_tells(self, event: ApplyBillingEvent) -> None:
        event = self.taken.get(event.event_id, event)  # an id has one content
        answer = self._tell(event)
        is_newer = (event.occurred_at_ms, event.event_id) > self.newest
        if event.event_id in self.taken:
            assert answer.outcome == "repeated"
        else:
            assert answer.outcome == ("applied" if is_newer else "outdated")
        if is_newer and event.event_id not in self.taken:
            self.taken[event.event_id] = event
            self.newest = (event.occurred_at_ms, event.event_id)
            self.told = Subscription(
                plan=event.plan,
                state=BILLING_STATES[event.event_type],
                since_ms=event.occurred_at_ms,
                until_ms=event.until_ms,
            )

    @precondition(lambda self: self.taken)
    @rule(state=st.sampled_from(["active", "paused", "cancelled"]))
    def an_operator_says(self, state: SubscriptionState) -> None:
        now_ms = self.story.now_ms
        self._tell(SetSubscription(account_id=ACCOUNT_ID, plan="basic", state=state))
        self.newest = (now_ms, "")
        self.told = Subscription(plan="basic", state=state, since_ms=now_ms)

    @rule(ms=st.integers(1, 20))
    def time_passes(self, ms: int) -> None:
        self.story.now_ms += ms

    @rule()
    def the_last_events_are_told_again(self) -> None:
        self.events += self.events[-2:]

    @invariant()
    def the_account_says_the_newest(self) -> None:
        assert subscription_of(self.story) == self.told

    @invariant()
    def history_is_the_live_state_at_every_version(self) -> None:
        for version, state in self.states.items():
            assert state is not None
            known = [event for event in self.events if event.version <= version]
            now_ms = self.story.now_ms
            history = history_of(known, now_ms)
            assert history.is_complete
            assert history.account is not None
            assert history.account.version == version
            assert history.account.subscription == state.account.subscription.at(now_ms)
            assert history.account.profiles == tuple(map(profile_facts, state.account.profiles))
            assert history.account.signed_out_at_ms == state.account.signed_out_at_ms


Billing.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestBilling = Billing.TestCase
