"""Leave for an upstream service to license keys: which keys, until when, on what terms; pure."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from agents.license.plans import LicensePolicy
from schemas.catalog import Tier, Title
from schemas.licenses import EntitledKey, Entitlement, LicenseDecision
from schemas.sessions import GetEntitlement

KeyPlaces = Mapping[str, tuple[str, Tier]]
"""Content and tier of each key id that exists."""


def upstream_places(title: Title | None, key_tiers: KeyPlaces) -> KeyPlaces:
    """Ours, and those that the title's tracks name: an upstream may have made them itself."""
    if title is None:
        return key_tiers
    named = {key_id: (title.content_id, tier) for key_id, tier in _named_keys(title).items()}
    return {**named, **key_tiers}


def asked_upstream(
    request: GetEntitlement, title: Title | None, places: KeyPlaces, tiers: tuple[Tier, ...]
) -> tuple[str, ...]:
    """The key ids that the message names. Where it does not say: those that the session may have,
    if the upstream refuses all others, else every one of the title's."""
    if request.key_ids or title is None:
        return request.key_ids
    named = tuple(_named_keys(title))
    reachable = tuple(key_id for key_id in named if places[key_id][1] in tiers)
    return reachable if reachable and request.is_checked_upstream else named


def _named_keys(title: Title) -> Mapping[str, Tier]:
    """The tier of each key that the title's tracks name, pictures first."""
    named: dict[str, Tier] = {}
    for rendition in title.video:
        if rendition.key_id is not None:
            named[rendition.key_id] = rendition.tier  # lowest first: the highest that shares it
    for track in title.audio:
        if track.key_id is not None:
            named.setdefault(track.key_id, "audio")  # pictures that share it decide
    return named


def entitle(
    decision: LicenseDecision,
    request: GetEntitlement,
    places: KeyPlaces,
    policy: LicensePolicy,
    expires_at_ms: int,
) -> LicenseDecision:
    """The granted decision with what the upstream is told."""
    assert decision.outcome == "granted"
    terms = policy.terms_of(decision.content_id)
    tiers = {key_id: places[key_id][1] for key_id in decision.key_ids_granted}
    entitlement = Entitlement(
        decision_id=decision.decision_id,
        system=request.system,
        session_id=decision.session_id,
        content_id=decision.content_id,
        keys=tuple(
            EntitledKey(key_id=key_id, tier=tier, protection=policy.protections[tier])
            for key_id, tier in tiers.items()
        ),
        granted_at_ms=decision.decided_at_ms,
        expires_at_ms=expires_at_ms,
        renewal_ms=terms.renewal_ms,
        is_persistent=terms.is_persistent,
    )
    return replace(decision, entitlement=entitlement)
