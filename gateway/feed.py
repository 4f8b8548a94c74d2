"""Who waits for a session's next decision, and who hears them all."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from contextlib import suppress

WAITING_CHANGES_MAX = 100_000


class Subscription:
    """Changed session ids in order, each once however often it changed: bounded by the sessions."""

    def __init__(self) -> None:
        self._changed: OrderedDict[str, None] = OrderedDict()
        self._awake = asyncio.Event()

    def note(self, session_id: str) -> None:
        """The session changed; when full, the longest waiting change is forgotten."""
        self._changed[session_id] = None
        self._changed.move_to_end(session_id)
        if len(self._changed) > WAITING_CHANGES_MAX:
            self._changed.popitem(last=False)
        self._awake.set()

    def wake(self) -> None:
        """Ends the waiting without a change."""
        self._awake.set()

    async def next_changes(self, timeout_ms: int) -> list[str]:
        """The sessions that changed since the last call; empty where none did in time."""
        if not self._changed:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_ms / 1000):
                    await self._awake.wait()
        self._awake.clear()
        changed = list(self._changed)
        self._changed.clear()
        return changed


class Feed:
    """Passes the views' changes on; one per gateway."""

    def __init__(self) -> None:
        self._all: set[Subscription] = set()
        self._by_session: defaultdict[str, set[Subscription]] = defaultdict(set)

    def tell(self, session_id: str) -> None:
        """Something was decided about the session, and its view holds it."""
        for subscription in self._all:
            subscription.note(session_id)
        for subscription in self._by_session.get(session_id, ()):
            subscription.note(session_id)

    def subscribe(self, session_id: str | None = None) -> Subscription:
        """From now on, of one session or of all; `unsubscribe` ends it."""
        subscription = Subscription()
        (self._all if session_id is None else self._by_session[session_id]).add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription, session_id: str | None = None) -> None:
        """The same arguments as it was made with."""
        if session_id is None:
            self._all.discard(subscription)
            return
        subscribed = self._by_session.get(session_id)
        if subscribed is not None:
            subscribed.discard(subscription)
            if not subscribed:
                del self._by_session[session_id]

    def wake_all(self) -> None:
        """Ends everybody's waiting: the gateway drains."""
        for subscription in self._all.union(*self._by_session.values()):
            subscription.wake()

    def __len__(self) -> int:
        return len(self._all) + sum(len(each) for each in self._by_session.values())
