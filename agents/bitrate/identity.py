"""Which reports of a session were applied: a report that comes twice changes nothing."""

from __future__ import annotations

import msgspec

SOURCES_MAX = 8
"""Player instances and edges that one session is remembered for."""

_WINDOW = 64


class SeenSource(msgspec.Struct, frozen=True, kw_only=True):
    """The newest sequence of a source, and which of the 63 before it were seen."""

    source: str
    newest: int
    mask: int = 1
    """Bit n: newest - n was seen."""


def mark_seen(
    seen: tuple[SeenSource, ...], source: str, sequence: int
) -> tuple[SeenSource, ...] | None:
    """`seen` with the report in it; None where it was there before.

    What is older than the window counts as seen: measurements that late say nothing of now.
    """
    known = next((entry for entry in seen if entry.source == source), None)
    if known is None:
        marked = SeenSource(source=source, newest=sequence)
    elif sequence > known.newest:
        shifted = known.mask << min(sequence - known.newest, _WINDOW)
        mask = (shifted | 1) & ((1 << _WINDOW) - 1)
        marked = SeenSource(source=source, newest=sequence, mask=mask)
    else:
        bit = known.newest - sequence
        if bit >= _WINDOW or known.mask >> bit & 1:
            return None
        marked = msgspec.structs.replace(known, mask=known.mask | 1 << bit)
    others = [entry for entry in seen if entry.source != source]
    return (*others[-(SOURCES_MAX - 1) :], marked)
