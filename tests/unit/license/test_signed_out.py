"""Signing out everywhere, PINs and dates that are past, as the license agent judges them."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from agents.license.policy import judge
from schemas.accounts import Profile
from schemas.subscriptions import Subscription, SubscriptionState
from streams.topics import LICENSE_DECISIONS
from tests.builders import NOW_MS
from tests.unit.license.facts import an_account, some_facts
from tests.unit.license.sessions_house import House


def reason(**changes: Any) -> str | None:
    return judge(some_facts(**changes)).reason


SIGNED_OUT = an_account(signed_out_version=5, signed_out_at_ms=NOW_MS, version=6)


@pytest.mark.parametrize(
    ("token_version", "said"), [(4, "signed-out"), (5, None), (6, None), (None, None)]
)
def test_a_token_from_before_the_sign_out_opens_no_session(
    token_version: int | None, said: str | None
) -> None:
    """An outside issuer's token has no version: its issuer has signing out in hand."""
    assert reason(account=SIGNED_OUT, token_version=token_version) == said


@pytest.mark.parametrize(
    ("opened_at_ms", "said"), [(NOW_MS - 1, "signed-out"), (NOW_MS, None), (NOW_MS + 1, None)]
)
def test_a_session_from_before_the_sign_out_gets_nothing_more(
    opened_at_ms: int, said: str | None
) -> None:
    assert reason(account=SIGNED_OUT, opened_at_ms=opened_at_ms, token_version=0) == said


def test_a_profile_with_a_pin_needs_the_proof_of_this_very_one() -> None:
    guarded = Profile(profile_id="profile-1", name="Ada", created_at_ms=0, pin_set_at_ms=7)
    account = an_account(profiles=(guarded,))
    assert reason(account=account) == "profile-pin"
    assert reason(account=account, unlocked_pin_set_at_ms=6) == "profile-pin"
    assert reason(account=account, unlocked_pin_set_at_ms=7) is None
    assert reason(account=account, opened_at_ms=NOW_MS) is None  # a running session goes on


@pytest.mark.parametrize(
    ("state", "before", "after"),
    [
        ("trial", None, "subscription"),
        ("active", None, "subscription"),
        ("grace", None, "subscription"),
        ("paused", "subscription", None),
        ("cancelled", None, "subscription"),
        ("none", "subscription", "subscription"),
    ],
)
def test_a_date_that_is_past_counts_without_an_event(
    state: SubscriptionState, before: str | None, after: str | None
) -> None:
    told = Subscription(plan="standard", state=state, since_ms=0, until_ms=NOW_MS)
    account = an_account(subscription=told)
    assert reason(account=account, now_ms=NOW_MS - 1) == before
    assert reason(account=account, now_ms=NOW_MS) == after


def test_a_cancelled_subscription_without_a_date_is_over() -> None:
    assert reason(account=an_account(state="cancelled")) == "subscription"


async def test_sessions_opened_before_the_sign_out_end_at_once_and_once() -> None:
    house = House()
    house.open(1, NOW_MS - 2)
    house.open(2, NOW_MS - 1)
    account = an_account(signed_out_at_ms=NOW_MS - 1, signed_out_version=2, version=2)
    house.endings.note_account(account)
    await house.endings.end_due()
    assert [(c.session_id, c.reason) for c in house.refused] == [("session-1", "signed-out")]
    running = house.ledger.session("account-1", "session-2")
    assert running is not None
    assert not running.is_ended
    house.endings.note_account(account)
    await house.endings.end_due()
    assert len(house.publisher.values(LICENSE_DECISIONS)) == 1
    house.endings.note_account(replace(account, signed_out_at_ms=NOW_MS + 1))
    await house.endings.end_due()
    assert [c.session_id for c in house.refused] == ["session-1", "session-2"]


async def test_the_sessions_of_anothers_account_end_once_this_worker_gets_it() -> None:
    house = House()
    house.open(1, NOW_MS - 2)
    house.registrar.own([])
    house.endings.note_account(
        an_account(signed_out_at_ms=NOW_MS - 1, signed_out_version=2, version=2)
    )
    await house.endings.end_due()
    assert house.refused == []
    house.registrar.own(range(LICENSE_DECISIONS.partitions))
    await house.endings.end_due()
    assert [c.session_id for c in house.refused] == ["session-1"]
