"""What the gateway adds to an event: when and which way it came, and its token's facts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec.structs import replace

from gateway.region import Place
from schemas import codec
from schemas.accounts import CANARY_PLAN
from schemas.errors import InvalidMessageError
from schemas.events import Event, PlaybackEvent, Stamp, Via
from schemas.sessions import SessionClaims
from streams.experiments import Experiments, arms_of

Stamped = tuple[Event, Stamp]
"""An event without a stamp of its own, and the one it gets."""


def stamp_of(claims: SessionClaims, place: Place, via: Via, now_ms: int) -> Stamp:
    """The pseudonyms of the session's token; the network is that of the peer now."""
    return Stamp(
        received_at_ms=now_ms,
        via=via,
        account_id=claims.account_id,
        profile_id=claims.profile_id,
        content_id=claims.content_id,
        plan=claims.plan,
        region=claims.region or place.region,
        asn=place.asn or claims.asn,
        network=place.network or claims.network,
        device_model=claims.device_model,
        os=claims.os,
        player=claims.player,
        canary=claims.plan == CANARY_PLAN,
    )


def bare_stamp(via: Via, now_ms: int) -> Stamp:
    """Of an event that no session token came with: back ends and edges know only the session."""
    return Stamp(received_at_ms=now_ms, via=via)


def with_arms(events: Sequence[Stamped], experiments: Experiments) -> Sequence[Stamped]:
    """Each stamp with the arms of the event's session; what events shared they share still."""
    if not experiments.items():
        return events
    stamps: dict[tuple[int, str], Stamp] = {}
    stamped: list[Stamped] = []
    for event, bare in events:
        which = (id(bare), event.session_id)
        stamp = stamps.get(which)
        if stamp is None:
            arms = arms_of(experiments, event.session_id)
            stamp = stamps[which] = replace(bare, arms=arms) if arms else bare
        stamped.append((event, stamp))
    return stamped


def is_readable(event: Event) -> bool:
    """Whether every reader will take it: asked of events that were built here, not decoded."""
    try:
        _reader.decode(codec.encode(event))
    except InvalidMessageError:
        return False
    return True


_reader: Final[codec.Decoder[Any]] = codec.Decoder(PlaybackEvent)
