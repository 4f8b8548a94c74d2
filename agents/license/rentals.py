"""Titles that an account may see for a time only, from when it first sees them; pure.

The ends stand in the decision that began them: a policy that changes later moves neither.
"""

from __future__ import annotations

from msgspec.structs import replace

from agents.license.plans import Terms
from schemas.licenses import Rental


def is_over(rental: Rental | None, terms: Terms, now_ms: int) -> bool:
    """Whether it ran out; terms that no longer limit the title free it."""
    if rental is None or not (terms.rental_ms or terms.playback_ms):
        return False
    ends_at_ms = rental.ends_at_ms
    return ends_at_ms is not None and now_ms >= ends_at_ms


def opened(rental: Rental | None, terms: Terms, now_ms: int) -> Rental | None:
    """What the account has once it opened a session; None where the title is not limited."""
    if not (terms.rental_ms or terms.playback_ms):
        return None
    if rental is not None:
        return rental
    until_ms = now_ms + terms.rental_ms if terms.rental_ms else None
    return Rental(first_seen_at_ms=now_ms, rented_until_ms=until_ms)


def played(rental: Rental | None, terms: Terms, now_ms: int) -> Rental | None:
    """What it has once it got a license: playback has begun, and so its time."""
    if rental is None or rental.playback_until_ms is not None or not terms.playback_ms:
        return rental
    return replace(rental, playback_until_ms=now_ms + terms.playback_ms)


def last_moment(rental: Rental | None, terms: Terms) -> int | None:
    """When it is over at the latest, begun at the last moment; None: no end."""
    if rental is None:
        return None
    if rental.playback_until_ms is not None or rental.rented_until_ms is None:
        return rental.playback_until_ms
    return rental.rented_until_ms + terms.playback_ms


def folded(known: Rental | None, told: Rental) -> Rental:
    """What the ledger keeps of two: a copy of an older record takes no beginning back."""
    if known is None or (known.playback_until_ms is None and told.playback_until_ms is not None):
        return told
    return known
