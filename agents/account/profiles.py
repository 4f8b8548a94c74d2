"""Profiles: the viewers of an account."""

from __future__ import annotations

import re
from typing import Final

from msgspec.structs import replace

from agents.account.outcome import Outcome, changed, happened, refused, viewed
from agents.account.rules import Facts
from agents.account.state import AccountState
from schemas.accounts import CreateProfile, DeleteProfile, Profile, UpdateProfile
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
    profile = Profile(
        profile_id=str(uuid7(facts.now_ms, facts.randomness[40:50])),
        name=command.name,
        language=command.language,
        maturity=command.maturity,
        created_at_ms=facts.now_ms,
    )
    new = changed(state, facts, account=replace(state.account, profiles=(*existing, profile)))
    event = happened(new.account, "profile_created", facts, profile_id=profile.profile_id)
    return Outcome(viewed(new), new, (event,))


def update(state: AccountState, command: UpdateProfile, facts: Facts) -> Outcome:
    """Change what the command names."""
    if command.language is not None and not _LANGUAGE.fullmatch(command.language):
        return refused(400, "language", "not a language tag")
    given = {
        name: value
        for name in ("name", "language", "maturity")
        if (value := getattr(command, name)) is not None
    }
    profiles = tuple(
        replace(profile, **given) if profile.profile_id == command.profile_id else profile
        for profile in state.account.profiles
    )
    if not _has(state, command.profile_id):
        return refused(404, "unknown-profile")
    if profiles == state.account.profiles:
        return Outcome(viewed(state))
    new = changed(state, facts, account=replace(state.account, profiles=profiles))
    event = happened(new.account, "profile_updated", facts, profile_id=command.profile_id)
    return Outcome(viewed(new), new, (event,))


def delete(state: AccountState, command: DeleteProfile, facts: Facts) -> Outcome:
    """Remove a viewer."""
    if not _has(state, command.profile_id):
        return refused(404, "unknown-profile")
    rest = tuple(p for p in state.account.profiles if p.profile_id != command.profile_id)
    new = changed(state, facts, account=replace(state.account, profiles=rest))
    event = happened(new.account, "profile_deleted", facts, profile_id=command.profile_id)
    return Outcome(viewed(new), new, (event,))


def _has(state: AccountState, profile_id: str) -> bool:
    return any(profile.profile_id == profile_id for profile in state.account.profiles)
