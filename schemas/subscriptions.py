"""What an account may watch with: the states of a subscription, and what time makes of them."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import replace

SubscriptionState = Literal["none", "trial", "active", "grace", "paused", "cancelled"]
BillingEventType = Literal[
    "subscription.trial_started",
    "subscription.activated",
    "subscription.payment_failed",
    "subscription.paused",
    "subscription.cancelled",
]
EventId = Annotated[str, Meta(min_length=1, max_length=128)]

BILLING_STATES: Final[dict[BillingEventType, SubscriptionState]] = {
    "subscription.trial_started": "trial",
    "subscription.activated": "active",
    "subscription.payment_failed": "grace",
    "subscription.paused": "paused",
    "subscription.cancelled": "cancelled",
}
"""The state that each event begins. A renewal and the end of a pause are `activated` again."""
_STATE_AFTER: Final[dict[SubscriptionState, SubscriptionState]] = {
    "trial": "cancelled",
    "active": "cancelled",
    "grace": "cancelled",
    "paused": "active",
}


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription as it was last told; ask `at` what it is by now.

    `until_ms` is the end of a trial, of what is paid for, of the grace or of a pause; of a
    cancelled one the end of what is paid for: it plays until then. None: no end is known, and a
    cancelled one is over.
    """

    plan: str
    state: SubscriptionState
    since_ms: int
    until_ms: int | None = None

    def at(self, now_ms: int) -> Subscription:
        """What it is at this moment: a state whose date is past has changed without an event."""
        after = _STATE_AFTER.get(self.state)
        if after is None or self.until_ms is None or now_ms < self.until_ms:
            return self
        until_ms = self.until_ms if after == "cancelled" else None
        return replace(self, state=after, since_ms=self.until_ms, until_ms=until_ms)

    def is_paid_at(self, now_ms: int) -> bool:
        """Whether a cancelled subscription still has time that was paid for."""
        return self.state == "cancelled" and self.until_ms is not None and now_ms < self.until_ms
