"""A session's slot lives by its traffic: told to the license agent once per heartbeat interval."""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import Final

from gateway.beside import Beside
from gateway.ports import Publishing
from schemas.errors import RetryableError
from schemas.sessions import Lease
from streams.clock import Clock, has_passed
from streams.topics import SESSION_LEASES

SESSIONS_MAX: Final = 200_000

log = logging.getLogger(__name__)


class Leases:
    """Publishes beside the request, never in its way; the next traffic renews a lost lease."""

    def __init__(
        self, publisher: Publishing, beside: Beside, *, interval_ms: int, clock: Clock
    ) -> None:
        self._publisher = publisher
        self._beside = beside
        self._interval_ms = interval_ms
        self._clock = clock
        self._told_at_ms: OrderedDict[str, int] = OrderedDict()

    def note(self, account_id: str, session_id: str) -> None:
        """The session had traffic that its token vouches for."""
        now_ms = self._clock()
        told_at_ms = self._told_at_ms.get(session_id)
        if told_at_ms is not None and not has_passed(self._interval_ms, told_at_ms, now_ms):
            return
        lease = Lease(account_id=account_id, session_id=session_id, at_ms=now_ms)
        if self._beside.start(self._publish(lease)) is None:
            return
        self._told_at_ms[session_id] = now_ms
        self._told_at_ms.move_to_end(session_id)
        if len(self._told_at_ms) > SESSIONS_MAX:
            self._told_at_ms.popitem(last=False)

    async def _publish(self, lease: Lease) -> None:
        try:
            await self._publisher.publish(SESSION_LEASES, lease.account_id, lease)
        except RetryableError as error:
            self._told_at_ms.pop(lease.session_id, None)
            log.warning("the lease of session %s was not told: %s", lease.session_id, error)
