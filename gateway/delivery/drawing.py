"""A session's own order of CDNs, drawn from its cohort's shares.

Weighted rendezvous hashing (Schindelhauer and Schomaker 2005, the logarithmic method): over many
sessions each CDN comes first as often as its share says, and where shares change only as many
sessions move as must.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from math import log

from schemas.steering import EVERYBODY, SteeringDecision, cohort_of


def decision_for(
    known: Callable[[str], SteeringDecision | None], region: str, asn: int
) -> SteeringDecision | None:
    """The plan of a session's network, else of its region's rest, else everybody's order.

    `known`: a cohort's last decision.
    """
    for cohort in (cohort_of(region, asn), cohort_of(region, 0)):
        decision = known(cohort)
        if decision is not None and decision.shares:
            return decision
    return known(EVERYBODY)


def draw_order(
    session_id: str, shares: Mapping[str, float], order: Sequence[str]
) -> tuple[str, ...]:
    """All of `order`, the drawn CDN first; those without a share follow as they stand in it."""

    def rank(name: str) -> tuple[bool, float]:
        share = shares.get(name, 0.0)
        return (False, -log(chance(session_id, name)) / share) if share else (True, 0.0)

    return tuple(sorted(order, key=rank))


def chance(session_id: str, cdn: str) -> float:
    """Between 0 and 1, evenly, always the same for a session and a CDN."""
    digest = blake2b(f"{session_id} {cdn}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest) + 0.5) / 2**64
