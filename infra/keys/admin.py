"""Tokens for people and machines that are not viewers; signed by the operator's identity."""

from __future__ import annotations

from schemas.errors import InvalidMessageError
from schemas.ids import uuid7
from schemas.tokens import ADMIN_TYP, AUDIENCE, ISSUER, AdminClaims, AdminRole
from streams.identity import Identity
from streams.tokens import issue

DAY_S = 86_400
LIFETIME_S_MAX = 366 * DAY_S


def issue_admin_token(
    operator: Identity,
    *,
    role: AdminRole,
    subject: str,
    lifetime_s: int,
    now_ms: int,
    randomness: bytes,
) -> str:
    """A token of this role; `randomness` is 10 bytes. Lives at most a year.

    Raises InvalidMessageError where the lifetime or the subject cannot be.
    """
    assert operator.role == "operator"
    if not 1 <= lifetime_s <= LIFETIME_S_MAX:
        raise InvalidMessageError("lifetime", f"1 to {LIFETIME_S_MAX} seconds")
    if not 1 <= len(subject) <= 128:
        raise InvalidMessageError("subject", "1 to 128 characters")
    claims = AdminClaims(
        iss=ISSUER,
        aud=AUDIENCE,
        sub=subject,
        jti=str(uuid7(now_ms, randomness)),
        iat=now_ms // 1000,
        exp=now_ms // 1000 + lifetime_s,
        role=role,
    )
    return issue(operator, claims, typ=ADMIN_TYP)
