"""An account as it was at any time, and what made it so: folded from `account.events.v1`; pure.

Every event carries the account after it, so a state is the newest event's up to a moment. What time
does by itself (a trial or what was paid for ends) is judged, as everywhere: it has no event.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

import msgspec

from schemas.accounts import AccountEvent, ProfileFacts
from schemas.subscriptions import Subscription

_BY_TIME: Final = "time"


class PastAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account at a moment, without anything personal; None: an older writer did not tell it."""

    account_id: str
    version: int
    subscription: Subscription | None
    profiles: tuple[ProfileFacts, ...] | None
    is_closed: bool
    signed_out_at_ms: int


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened."""

    at_ms: int
    version: int
    fact: str
    by: str
    """`viewer`, `billing`, `operator` or `time`."""
    by_name: str
    changes: tuple[str, ...]
    """What is other than before."""


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What happened up to a moment, and what came of it."""

    account: PastAccount | None
    """None: there was no such account yet."""
    changes: tuple[Change, ...]
    is_complete: bool
    """False where the log begins after the account, or older writers told only a part."""


def history_of(events: Iterable[AccountEvent], at_ms: int) -> History:
    """The history of one account, from its events in the order of the log.

    An event that was told twice counts once: who tells it cannot know that another had.
    """
    told = [event for event in in_order(events) if event.at_ms <= at_ms]
    changes = [_change(before, after) for before, after in pairwise([None, *told]) if after]
    changes += _by_time(told, at_ms)
    changes.sort(key=lambda change: change.at_ms)
    return History(
        account=_account_at(told[-1], at_ms) if told else None,
        changes=tuple(changes),
        is_complete=bool(told)
        and told[0].version == 1
        and all(each.subscription is not None for each in told),
    )


def in_order(events: Iterable[AccountEvent]) -> list[AccountEvent]:
    """Each once, by version; those of one version as they stand in the log."""
    return sorted(dict.fromkeys(events), key=lambda event: event.version)


def _account_at(event: AccountEvent, at_ms: int) -> PastAccount:
    subscription = event.subscription
    return PastAccount(
        account_id=event.account_id,
        version=event.version,
        subscription=subscription.at(at_ms) if subscription is not None else None,
        profiles=event.profiles,
        is_closed=event.is_closed,
        signed_out_at_ms=event.signed_out_at_ms,
    )


def _change(before: AccountEvent | None, after: AccountEvent) -> Change:
    return Change(
        at_ms=after.at_ms,
        version=after.version,
        fact=after.fact,
        by=after.by,
        by_name=after.by_name,
        changes=(*_subscription_changes(before, after), *_profile_changes(before, after)),
    )


def _subscription_changes(before: AccountEvent | None, after: AccountEvent) -> list[str]:
    old = before.subscription if before is not None else None
    new = after.subscription
    if new is None or new == old:
        return []
    return [f"subscription {said(new)}"]


def said(subscription: Subscription) -> str:
    """Plan and state in words."""
    return f"{subscription.plan} {subscription.state}"


def _profile_changes(before: AccountEvent | None, after: AccountEvent) -> list[str]:
    old = {p.profile_id: p for p in (before.profiles if before is not None else None) or ()}
    new = {p.profile_id: p for p in after.profiles or ()}
    if after.profiles is None:
        return []
    changes = [f"profile {each} removed" for each in old if each not in new]
    for profile_id, profile in new.items():
        known = old.get(profile_id)
        if known is None:
            changes.append(f"profile {profile_id} added, maturity {profile.maturity}")
            continue
        changes += [
            f"profile {profile_id} {name} {getattr(known, name)} to {getattr(profile, name)}"
            for name in ("language", "maturity")
            if getattr(known, name) != getattr(profile, name)
        ]
        if known.pin_set_at_ms != profile.pin_set_at_ms:
            says = "PIN taken away" if profile.pin_set_at_ms is None else "PIN set"
            changes.append(f"profile {profile_id} {says}")
        if known.is_personalized != profile.is_personalized:
            says = "on" if profile.is_personalized else "off"
            changes.append(f"profile {profile_id} personal recommendations {says}")
        elif known.personalized_since_ms != profile.personalized_since_ms:
            changes.append(f"profile {profile_id} recommendations begun anew")
    return changes


def _by_time(told: Sequence[AccountEvent], at_ms: int) -> list[Change]:
    """States that changed because their date was past, while nothing was told."""
    found = []
    for event, following in pairwise([*told, None]):
        assert event is not None
        subscription = event.subscription
        if subscription is None or subscription.until_ms is None:
            continue
        ends_at_ms = subscription.until_ms
        before_ms = following.at_ms if following is not None else at_ms + 1
        after = subscription.at(ends_at_ms)
        if event.at_ms <= ends_at_ms < before_ms and after != subscription:
            found.append(
                Change(
                    at_ms=ends_at_ms,
                    version=event.version,
                    fact=f"{subscription.state}_ended",
                    by=_BY_TIME,
                    by_name="",
                    changes=(f"subscription {said(after)}",),
                )
            )
    return found
