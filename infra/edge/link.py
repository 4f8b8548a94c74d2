"""A session's own last mile: it carries what a recorded network carried, over and over."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from infra.edge.throttle import BURST_S, THROTTLE_KBPS_MAX, chunk_bytes_at
from schemas.errors import InvalidMessageError

LINKS_MAX: Final = 1_000
ROWS_MAX: Final = 4_096


class Recording(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a network carried, and how long a request took to its first byte."""

    rates: Annotated[
        tuple[
            tuple[
                Annotated[float, Meta(gt=0)],
                Annotated[float, Meta(ge=0, le=THROTTLE_KBPS_MAX)],
            ],
            ...,
        ],
        Meta(max_length=ROWS_MAX),
    ]
    """Seconds since the start, and the mean rate since the row before in kbps."""
    round_trip_ms: Annotated[int, Meta(ge=0, le=10_000)] = 0


class RecordedRate:
    """Pure: how much has flowed by when; after its end the recording starts again."""

    def __init__(self, rates: Sequence[tuple[float, float]]) -> None:
        """Raises InvalidMessageError where time does not increase, or nothing ever flows."""
        self._times_s = [0.0, *(until_s for until_s, _ in rates)]
        if any(later <= earlier for earlier, later in pairwise(self._times_s)):
            raise InvalidMessageError("rates", "times must increase")
        self._bytes_per_s = [kbps * 125 for _, kbps in rates]
        self._flowed_bytes = [0.0]
        for (begin_s, end_s), rate in zip(pairwise(self._times_s), self._bytes_per_s, strict=True):
            self._flowed_bytes.append(self._flowed_bytes[-1] + (end_s - begin_s) * rate)
        if self._flowed_bytes[-1] <= 0:
            raise InvalidMessageError("rates", "nothing ever flows")

    def bytes_per_s(self, at_s: float) -> float:
        """The rate of that moment."""
        return self._bytes_per_s[self._row(at_s % self._times_s[-1])]

    def flowed_bytes(self, at_s: float) -> float:
        """Since the first start."""
        lap, within_s = divmod(at_s, self._times_s[-1])
        row = self._row(within_s)
        since_row = (within_s - self._times_s[row]) * self._bytes_per_s[row]
        return lap * self._flowed_bytes[-1] + self._flowed_bytes[row] + since_row

    def moment_s(self, goal_bytes: float) -> float:
        """When so much had flowed since the first start, at the earliest."""
        lap, goal = divmod(goal_bytes, self._flowed_bytes[-1])
        row = max(0, bisect_left(self._flowed_bytes, goal) - 1)
        missing = goal - self._flowed_bytes[row]
        within_s = missing / self._bytes_per_s[row] if missing > 0 else 0.0
        return lap * self._times_s[-1] + self._times_s[row] + within_s

    def _row(self, within_s: float) -> int:
        return min(bisect_right(self._times_s, within_s), len(self._bytes_per_s)) - 1


class LinkState(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a link until now."""

    carried_bytes: int
    late_ms_max: int
    """By how much a byte was late at most: a busy machine wakes timers late."""


class SessionLink:
    """Shared by all responses of one session; the recording starts with the first of them."""

    def __init__(self, recording: Recording, now_s: Callable[[], float]) -> None:
        """Raises InvalidMessageError as RecordedRate does."""
        self._rate = RecordedRate(recording.rates)
        self._round_trip_s = recording.round_trip_ms / 1000
        self._now_s = now_s
        self._started_s: float | None = None
        self._busy_until_s = 0.0
        self._carried_bytes = 0
        self._late_s_max = 0.0

    def chunk_bytes(self) -> int:
        """So much goes at once: small where the link is slow."""
        return chunk_bytes_at(self._rate.bytes_per_s(self._elapsed_s()))

    async def wait_round_trip(self) -> None:
        """Returns when a request's first byte may go."""
        self._elapsed_s()
        await asyncio.sleep(self._round_trip_s)

    async def wait_for(self, size_bytes: int) -> None:
        """Returns when the bytes have passed the link."""
        now_s = self._elapsed_s()
        due_s = self.reserve_s(size_bytes, now_s)
        self._carried_bytes += size_bytes
        await asyncio.sleep(max(0.0, due_s - now_s))
        self._late_s_max = max(self._late_s_max, self._elapsed_s() - max(due_s, now_s))

    def reserve_s(self, size_bytes: int, now_s: float) -> float:
        """Takes the bytes' place behind all earlier ones; when they have passed, both since the
        start. What late timers lost is caught up as far as the throttle does it.
        """
        start_s = max(self._busy_until_s, now_s - BURST_S)
        self._busy_until_s = self._rate.moment_s(self._rate.flowed_bytes(start_s) + size_bytes)
        return self._busy_until_s

    def state(self) -> LinkState:
        """As of now."""
        return LinkState(
            carried_bytes=self._carried_bytes, late_ms_max=round(1000 * self._late_s_max)
        )

    def _elapsed_s(self) -> float:
        if self._started_s is None:
            self._started_s = self._now_s()
        return self._now_s() - self._started_s


class SessionLinks:
    """By session id; the oldest is forgotten when there are too many."""

    def __init__(self, now_s: Callable[[], float], links_max: int = LINKS_MAX) -> None:
        self._now_s = now_s
        self._links_max = links_max
        self._links: OrderedDict[str, SessionLink] = OrderedDict()

    def put(self, session_id: str, recording: Recording) -> None:
        """A new link for the session, for its next responses; one without rates lifts it.

        Raises InvalidMessageError as RecordedRate does.
        """
        link = SessionLink(recording, self._now_s) if recording.rates else None
        self._links.pop(session_id, None)
        if link is not None:
            self._links[session_id] = link
            if len(self._links) > self._links_max:
                self._links.popitem(last=False)

    def get(self, session_id: str) -> SessionLink | None:
        """None: only the edge's own throttle holds."""
        return self._links.get(session_id)

    def __len__(self) -> int:
        return len(self._links)
