"""Which decisions of a chained topic are void, as their rows say it; pure.

What a row says is a function of the log, whoever stores it and however often: rows that stand
before the first chunk are stored by then, and the chain is followed from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import dropwhile
from typing import Final

import msgspec

from agents.analytics.decision_rows import DecisionRow
from schemas import codec
from schemas.errors import InvalidMessageError
from schemas.licenses import LicenseDecision
from streams.chain import Chain, Standing

LOOKBACK_OFFSETS: Final = 2_000
"""How far before its first chunk a partition is read again: those who race write within seconds."""

_decisions: Final[codec.Decoder[LicenseDecision]] = codec.Decoder(LicenseDecision)


class StoredDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A row of before."""

    offset: int
    payload: bytes
    is_void: bool


class VoidMarks:
    """One partition; takes rows in the order of the log."""

    def __init__(self) -> None:
        self._chain = Chain()
        self.is_begun = False

    def begin(self, before: Iterable[StoredDecision]) -> None:
        """Follow the chain through the rows that stand before all that are to be marked.

        A chain counts from the first that is read of it, so that one must not be void.
        """
        for stored in dropwhile(lambda row: row.is_void, before):
            try:
                decision = _decisions.decode(stored.payload)
            except InvalidMessageError:  # of a newer writer
                continue
            self._chain.follow(decision, 0, stored.offset)
        self.is_begun = True

    def mark(self, rows: Sequence[DecisionRow]) -> None:
        """Tell each row whether its decision counts."""
        for row in rows:
            if isinstance(row.value, LicenseDecision):
                standing = self._chain.follow(row.value, 0, row.offset)
                row.columns["is_void"] = standing is Standing.VOID
