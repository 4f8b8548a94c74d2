"""Rotating refresh tokens: each use gives a new one, the use of an old one ends its family.

A token is account (16 bytes), family (8), generation (4), secret (32). The family id is in nobody
else's hands, so a token of a known family with an older generation was once a real one.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256

import msgspec

from agents.account.rules import Facts
from agents.account.state import Private, RefreshFamily
from schemas.errors import InvalidMessageError
from schemas.ids import base64url
from schemas.secrets import SecretText
from schemas.tokens import opaque_token, opaque_token_bytes

TOKEN_BYTES = 60


@dataclass(frozen=True, slots=True)
class Presented:
    """A refresh token's parts."""

    account: bytes
    family: str
    generation: int
    token_hash: bytes


def parse(token: str) -> Presented | None:
    """The parts of what was presented, or None where it cannot be a refresh token."""
    try:
        value = opaque_token_bytes(token)
    except InvalidMessageError:
        return None
    if len(value) != TOKEN_BYTES or base64url(value) != token:
        return None
    return Presented(
        account=value[:16],
        family=value[16:24].hex(),
        generation=int.from_bytes(value[24:28], "big"),
        token_hash=sha256(value).digest(),
    )


def token_of(account_id: str, family: str, generation: int, secret: bytes) -> SecretText:
    """The text of a token."""
    assert len(secret) == 32
    tail = bytes.fromhex(family) + generation.to_bytes(4, "big") + secret
    return SecretText(opaque_token(account_id, tail))


def started(account_id: str, facts: Facts) -> tuple[RefreshFamily, SecretText]:
    """A new family and its first token."""
    family = facts.randomness[:8].hex()
    return _next(account_id, facts, family, 1, facts.now_ms)


def rotated(
    account_id: str, family: RefreshFamily, facts: Facts
) -> tuple[RefreshFamily, SecretText]:
    """The family after its newest token was used, and the token that replaces it."""
    return _next(account_id, facts, family.family, family.generation + 1, family.created_at_ms)


def _next(
    account_id: str, facts: Facts, family: str, generation: int, created_at_ms: int
) -> tuple[RefreshFamily, SecretText]:
    token = token_of(account_id, family, generation, facts.randomness[8:40])
    kept = RefreshFamily(
        family=family,
        generation=generation,
        token_hash=sha256(opaque_token_bytes(token.text())).digest(),
        mark=facts.mark,
        created_at_ms=created_at_ms,
        used_at_ms=facts.now_ms,
    )
    return kept, token


def find(private: Private, family: str) -> RefreshFamily | None:
    """The family of this id."""
    return next((kept for kept in private.families if kept.family == family), None)


def is_newest(family: RefreshFamily, presented: Presented) -> bool:
    """Whether the presented token is the family's newest."""
    return hmac.compare_digest(family.token_hash, presented.token_hash)


def is_alive(family: RefreshFamily, facts: Facts) -> bool:
    """Whether the family was used lately enough and is not too old."""
    rules = facts.rules
    idle_ms = facts.now_ms - family.used_at_ms
    return idle_ms < rules.refresh_idle_ms and (
        facts.now_ms - family.created_at_ms < rules.refresh_total_ms
    )


def kept_with(private: Private, family: RefreshFamily, facts: Facts) -> Private:
    """The account with this family as its newest; dead ones and the least recent go."""
    others = [f for f in private.families if f.family != family.family and is_alive(f, facts)]
    others.sort(key=lambda f: f.used_at_ms)
    room = facts.rules.families_max - 1
    kept = (*others[max(0, len(others) - room) :], family)
    return msgspec.structs.replace(private, families=kept)


def without(private: Private, family: str) -> Private:
    """The account without this family."""
    kept = tuple(f for f in private.families if f.family != family)
    return msgspec.structs.replace(private, families=kept)
