"""PINs of profiles: who may become which viewer, and change whom.

A PIN is kept as a hash beside the account's password. Who said it gets a proof (a token that names
the profile and when its PIN was set); another PIN ends the proofs of the one before.

The rule for changes: nothing that is done without a PIN raises the age that can be reached without
one, and a proof reaches as far as the profile that it is of.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec.structs import replace

from agents.account.outcome import Outcome, Unlocked, changed, happened, refused, viewed
from agents.account.rules import Facts
from agents.account.state import AccountState
from schemas.accounts import PinProof, Profile, SetPin, UnlockProfile

PIN: Final = re.compile(r"[0-9]{4,8}")
_UNLIMITED: Final = 1 << 16


def set_pin(state: AccountState, command: SetPin, facts: Facts) -> Outcome:
    """Guard the profile by the PIN, or by none where it is empty."""
    assert facts.credentials is not None
    profile = profile_of(state, command.profile_id)
    if profile is None:
        return refused(404, "unknown-profile")
    pin = facts.credentials.pin
    if pin and not PIN.fullmatch(pin):
        return refused(400, "pin", "a PIN has 4 to 8 digits")
    if not _may_set(state, profile, command, facts):
        return refused(403, "owner", "say the account's password, or the PIN that it has")
    pins = {each: kept for each, kept in state.private.pins.items() if each != command.profile_id}
    if pin:
        pins[command.profile_id] = facts.pin_hash
    # One later than the last, so that no proof of an older PIN of the same moment counts.
    set_at_ms = max(facts.now_ms, (profile.pin_set_at_ms or 0) + 1) if pin else None
    profiles = tuple(
        replace(each, pin_set_at_ms=set_at_ms) if each.profile_id == command.profile_id else each
        for each in state.account.profiles
    )
    new = changed(
        state,
        facts,
        account=replace(state.account, profiles=profiles),
        private=replace(state.private, pins=pins),
    )
    fact = happened(
        new.account, "pin_set" if pin else "pin_cleared", facts, profile_id=command.profile_id
    )
    return Outcome(viewed(new, facts), new, (fact,))


def _may_set(state: AccountState, profile: Profile, command: SetPin, facts: Facts) -> bool:
    """The owner by the password, or who knows the profile's PIN."""
    if is_proof_of(profile, command.proof):
        return True
    if state.private.password_hash:
        return facts.password_matches
    return profile.pin_set_at_ms is None  # an outside identity has no password to say


def unlock(state: AccountState, command: UnlockProfile, facts: Facts) -> Outcome:
    """A proof against the right PIN."""
    profile = profile_of(state, command.profile_id)
    if profile is None:
        return refused(404, "unknown-profile")
    if profile.pin_set_at_ms is None:
        return refused(409, "no-pin", "the profile has no PIN")
    if not facts.pin_matches:
        failed = happened(state.account, "unlock_failed", facts, profile_id=command.profile_id)
        return Outcome(refused(403, "pin", "not the profile's PIN").answer, events=(failed,))
    return Outcome(Unlocked(state.account.account_id, command.profile_id, profile.pin_set_at_ms))


def may_change(state: AccountState, profile: Profile, proof: PinProof | None) -> bool:
    """Whether a profile may be changed or removed: it has no PIN, or the proof reaches it."""
    return profile.pin_set_at_ms is None or _proved_maturity(state, proof) >= profile.maturity


def may_reach(state: AccountState, maturity: int, proof: PinProof | None) -> bool:
    """Whether a profile may be given this maturity."""
    profiles = state.account.profiles
    if all(each.pin_set_at_ms is None for each in profiles):
        return True
    open_to_all = max((p.maturity for p in profiles if p.pin_set_at_ms is None), default=-1)
    return maturity <= max(open_to_all, _proved_maturity(state, proof))


def _proved_maturity(state: AccountState, proof: PinProof | None) -> int:
    """How far a proof reaches; that of the highest profile reaches everything."""
    profile = profile_of(state, proof.profile_id) if proof is not None else None
    if profile is None or not is_proof_of(profile, proof):
        return -1
    highest = max(each.maturity for each in state.account.profiles)
    return _UNLIMITED if profile.maturity == highest else profile.maturity


def is_proof_of(profile: Profile, proof: PinProof | None) -> bool:
    """Whether the profile has a PIN and the proof is of this very one."""
    return (
        proof is not None
        and profile.pin_set_at_ms is not None
        and (proof.profile_id, proof.pin_set_at_ms) == (profile.profile_id, profile.pin_set_at_ms)
    )


def profile_of(state: AccountState, profile_id: str) -> Profile | None:
    """The account's viewer of this id."""
    return next((p for p in state.account.profiles if p.profile_id == profile_id), None)
