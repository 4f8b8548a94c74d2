"""Which identities were seen: interval sets of sequence numbers per session and source.

A client that sends again, and a replay, arrive at other offsets, which deduplication by chunk
cannot see. What this memory cannot answer, the sink asks ClickHouse.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import numpy as np
import numpy.typing as npt

from schemas.ids import uuid7_at_ms

Flags = npt.NDArray[np.bool_]

SESSIONS_MAX: Final = 50_000
INTERVALS_MAX: Final = 1_000_000
CLOCK_SKEW_MS_MAX: Final = 60_000
"""Between the clocks of whoever opens sessions, the broker and the sink."""


class Intervals:
    """A set of integers as sorted, disjoint, not adjacent [low, high]."""

    __slots__ = ("_highs", "_lows")

    def __init__(self, pairs: Iterable[tuple[int, int]] = ()) -> None:
        self._lows: list[int] = []
        self._highs: list[int] = []
        for low, high in sorted(pairs):
            self._append(low, high)

    def __contains__(self, number: int) -> bool:
        index = bisect_right(self._lows, number) - 1
        return index >= 0 and number <= self._highs[index]

    def __len__(self) -> int:
        """How many intervals, the measure of its size."""
        return len(self._lows)

    def add(self, number: int) -> bool:
        """Whether the number is new."""
        return self.add_run(number, number)

    def add_run(self, low: int, high: int) -> bool:
        """Whether all of [low, high] are new; where they are not, nothing is added."""
        index = bisect_right(self._lows, high) - 1
        if index >= 0 and self._highs[index] >= low:
            return False
        joins_left = index >= 0 and self._highs[index] == low - 1
        joins_right = index + 1 < len(self._lows) and self._lows[index + 1] == high + 1
        if joins_left and joins_right:
            self._highs[index] = self._highs.pop(index + 1)
            self._lows.pop(index + 1)
        elif joins_left:
            self._highs[index] = high
        elif joins_right:
            self._lows[index + 1] = low
        else:
            self._lows.insert(index + 1, low)
            self._highs.insert(index + 1, high)
        return True

    def _append(self, low: int, high: int) -> None:
        if self._highs and low <= self._highs[-1] + 1:
            self._highs[-1] = max(self._highs[-1], high)
            return
        self._lows.append(low)
        self._highs.append(high)


@dataclass(frozen=True, slots=True)
class Identities:
    """Identities in the order of the log; sessions and sources as codes into their names."""

    session_names: Sequence[str]
    sessions: npt.NDArray[np.uint32]
    source_names: Sequence[str]
    sources: npt.NDArray[np.uint32]
    sequences: npt.NDArray[np.int64]


class SeenIdentities:
    """What was seen of one partition's sessions, bounded: all of a session or nothing.

    A session is known if it was asked of ClickHouse (`learn`), or if it began after this memory
    did. UUIDv7 tells when a session began.
    """

    def __init__(
        self,
        *,
        since_ms: int | None = None,
        sessions_max: int = SESSIONS_MAX,
        intervals_max: int = INTERVALS_MAX,
    ) -> None:
        """`since_ms`: when it began, everything that is stored later comes through it; None:
        somebody else stores as well.

        Not the time of its first record: the topics that share it need not stand at one time.
        """
        self._sessions: OrderedDict[str, dict[str, Intervals]] = OrderedDict()
        self._sessions_max = sessions_max
        self._intervals_max = intervals_max
        self._interval_count = 0
        self._horizon_ms = None if since_ms is None else since_ms + CLOCK_SKEW_MS_MAX

    def must_ask(self, session_id: str, at_ms: int) -> bool:
        """Whether only ClickHouse knows what was stored of the session.

        `at_ms`: when the broker took a record of it. What claims to have begun after that may have
        begun at any time.
        """
        if session_id in self._sessions:
            return False
        if self._horizon_ms is None:
            return True
        return not self._horizon_ms < _began_at_ms(session_id) <= at_ms + CLOCK_SKEW_MS_MAX

    def learn(self, session_id: str, stored: dict[str, list[tuple[int, int]]]) -> None:
        """Take over what ClickHouse holds of the session, by source."""
        sources = {source: Intervals(pairs) for source, pairs in stored.items()}
        self._forget(session_id)
        self._sessions[session_id] = sources
        self._interval_count += sum(len(intervals) for intervals in sources.values())

    def add(self, identities: Identities) -> Flags:
        """Which of them are new; of those that come twice the first is. `must_ask` was answered."""
        order = np.lexsort((identities.sequences, identities.sources, identities.sessions))
        sequences = identities.sequences[order]
        sessions, sources = identities.sessions[order], identities.sources[order]
        begins = np.ones(len(order), np.bool_)
        begins[1:] = (np.diff(sessions) != 0) | (np.diff(sources) != 0) | (np.diff(sequences) != 1)
        starts = np.flatnonzero(begins)
        ends = np.append(starts[1:], len(order)) - 1
        is_new = np.ones(len(order), np.bool_)
        for start, end, session, source, low, high in zip(
            starts.tolist(),
            ends.tolist(),
            sessions[starts].tolist(),
            sources[starts].tolist(),
            sequences[starts].tolist(),
            sequences[ends].tolist(),
            strict=True,
        ):
            names = identities.session_names[session], identities.source_names[source]
            intervals = self._intervals_of(*names)
            before = len(intervals)
            if not intervals.add_run(low, high):
                for place, number in zip(order[start : end + 1], range(low, high + 1), strict=True):
                    is_new[place] = intervals.add(number)
            self._interval_count += len(intervals) - before
        return is_new

    def _intervals_of(self, session_id: str, source: str) -> Intervals:
        sources = self._sessions.get(session_id)
        if sources is None:
            sources = self._sessions[session_id] = {}
        else:
            self._sessions.move_to_end(session_id)
        intervals = sources.get(source)
        if intervals is None:
            intervals = sources[source] = Intervals()
        return intervals

    def shrink(self) -> None:
        """Forget the longest silent sessions beyond the bounds; they must be asked for again."""
        while self._sessions and (
            len(self._sessions) > self._sessions_max or self._interval_count > self._intervals_max
        ):
            session_id = next(iter(self._sessions))
            self._forget(session_id)
            began_ms = _began_at_ms(session_id)
            self._horizon_ms = max(self._horizon_ms or 0, began_ms)

    def _forget(self, session_id: str) -> None:
        sources = self._sessions.pop(session_id, None)
        if sources is not None:
            self._interval_count -= sum(len(intervals) for intervals in sources.values())

    def __len__(self) -> int:
        """How many sessions are known."""
        return len(self._sessions)


def _began_at_ms(session_id: str) -> int:
    """0 where the id does not tell: it must then be asked for."""
    value = UUID(session_id)
    return uuid7_at_ms(value) if value.version == 7 else 0
