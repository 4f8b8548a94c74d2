"""Profiles: the viewers of an account."""

from __future__ import annotations

import re
from typing import Any, Final

from msgspec.structs import replace

from agents.account import pins
from agents.account.outcome import Outcome, changed, happened, refused, viewed
from agents.account.rules import Facts
from agents.account.state import AccountState
from schemas.accounts import (
    PROFILE_NAME_CHARACTERS_MAX,
    CreateProfile,
    DeleteProfile,
    Profile,
    UpdateProfile,
)
from schemas.ids import uuid7

_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
"""A language tag as far as BCP 47 is used here."""


def create(state: AccountState, command: CreateProfile, facts: Facts) -> Outcome:
    """Add a viewer, where there is room."""
    existing = state.account.profiles
    if len(existing) >= facts.rules.profiles_max:
        return refused(409, "profile-limit", f"at most {facts.rules.profiles_max} profiles")
    if not _LANGUAGE.fullmatch(command.language):
        return refused(400, "language", "not a language tag")
    if not pins.may_reach(state, command.maturity, command.proof):
        return _guarded()
    name = _name_said(command, facts)
    if name is None:
        return refused(400, "name", "a profile has a name")
    profile = Profile(
        profile_id=str(uuid7(facts.now_ms, facts.randomness[40:50])),
        name=name,
        language=command.language,
        maturity=command.maturity,
        created_at_ms=facts.now_ms,
    )
    new = changed(state, facts, account=replace(state.account, profiles=(*existing, profile)))
    event = happened(new.account, "profile_created", facts, profile_id=profile.profile_id)
    return Outcome(viewed(new, facts), new, (event,))


def update(state: AccountState, command: UpdateProfile, facts: Facts) -> Outcome:
    """Change what the command names."""
    if command.language is not None and not _LANGUAGE.fullmatch(command.language):
        return refused(400, "language", "not a language tag")
    wanted = {
        "name": _name_said(command, facts),
        "language": command.language,
        "maturity": command.maturity,
        "is_personalized": command.is_personalized,
    }
    given: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    profile = pins.profile_of(state, command.profile_id)
    if profile is None:
        return refused(404, "unknown-profile")
    if command.forgets_watched or (command.is_personalized and not profile.is_personalized):
        given["personalized_since_ms"] = facts.now_ms
    maturity = command.maturity if command.maturity is not None else profile.maturity
    is_higher = maturity > profile.maturity
    if not pins.may_change(state, profile, command.proof) or (
        is_higher and not pins.may_reach(state, maturity, command.proof)
    ):
        return _guarded()
    profiles = tuple(
        replace(each, **given) if each.profile_id == command.profile_id else each
        for each in state.account.profiles
    )
    if profiles == state.account.profiles:
        return Outcome(viewed(state, facts))
    new = changed(state, facts, account=replace(state.account, profiles=profiles))
    event = happened(new.account, "profile_updated", facts, profile_id=command.profile_id)
    return Outcome(viewed(new, facts), new, (event,))


def delete(state: AccountState, command: DeleteProfile, facts: Facts) -> Outcome:
    """Remove a viewer."""
    profile = pins.profile_of(state, command.profile_id)
    if profile is None:
        return refused(404, "unknown-profile")
    if not pins.may_change(state, profile, command.proof):
        return _guarded()
    rest = tuple(p for p in state.account.profiles if p.profile_id != command.profile_id)
    kept = {each: pin for each, pin in state.private.pins.items() if each != command.profile_id}
    new = changed(
        state,
        facts,
        account=replace(state.account, profiles=rest),
        private=replace(state.private, pins=kept),
    )
    event = happened(new.account, "profile_deleted", facts, profile_id=command.profile_id)
    return Outcome(viewed(new, facts), new, (event,))


def _name_said(command: CreateProfile | UpdateProfile, facts: Facts) -> str | None:
    """Sealed, or readable where the gateway is of an older release; None where none is said."""
    said = facts.credentials.profile_name if facts.credentials is not None else command.name
    return said[:PROFILE_NAME_CHARACTERS_MAX] if said else None


def _guarded() -> Outcome:
    return refused(403, "profile-pin", "say the PIN of a profile of this age or above first")
