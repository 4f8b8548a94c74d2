"""The folds of all recent sessions, bounded: the ones at work as objects, the rest as bytes."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import msgspec

from schemas.folds import SessionFold

SESSIONS_MAX: Final = 200_000
AWAKE_MAX: Final = 5_000


class FoldMemory:
    """Least recently touched first. A fold may sleep: it is then a few hundred bytes."""

    def __init__(self, *, sessions_max: int = SESSIONS_MAX, awake_max: int = AWAKE_MAX) -> None:
        self._sessions_max = sessions_max
        self._awake_max = awake_max
        self._awake: OrderedDict[str, SessionFold] = OrderedDict()
        self._asleep: OrderedDict[str, tuple[int, bytes]] = OrderedDict()
        """How many events each knows, and the fold."""
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(SessionFold)

    def __len__(self) -> int:
        return len(self._awake) + len(self._asleep)

    def touch(self, session_id: str) -> SessionFold:
        """The session's fold, made where there is none."""
        fold = self._awake.get(session_id)
        if fold is not None:
            self._awake.move_to_end(session_id)
            return fold
        asleep = self._asleep.pop(session_id, None)
        fold = (
            SessionFold(session_id=session_id)
            if asleep is None
            else self._decoder.decode(asleep[1])
        )
        self._awake[session_id] = fold
        return fold

    def restore(self, fold: SessionFold) -> None:
        """Take a stored fold where it knows more than the one at hand."""
        count, session_id = event_count(fold), fold.session_id
        awake = self._awake.get(session_id)
        if awake is not None:
            if count > event_count(awake):
                self._awake[session_id] = fold
            return
        asleep = self._asleep.pop(session_id, None)
        if asleep is None or count >= asleep[0]:
            asleep = (count, self._encoder.encode(fold))
        self._asleep[session_id] = asleep

    def settle(self, busy: frozenset[str]) -> list[str]:
        """Let the longest untouched sleep, and forget the oldest beyond the bound; returns those.

        What is `busy` is not stored yet and stays.
        """
        for session_id in list(self._awake)[: max(0, len(self._awake) - self._awake_max)]:
            if session_id not in busy:
                fold = self._awake.pop(session_id)
                self._asleep[session_id] = (event_count(fold), self._encoder.encode(fold))
        forgotten = []
        while len(self) > self._sessions_max and self._asleep:
            forgotten.append(self._asleep.popitem(last=False)[0])
        return forgotten


def event_count(fold: SessionFold) -> int:
    """How many events the fold knows; rises with each new one."""
    return sum(source.base.event_count + len(source.pending) for source in fold.sources)
