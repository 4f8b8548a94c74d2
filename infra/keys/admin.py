"""Tokens for people and machines that are not viewers; signed by the operator's identity."""

from __future__ import annotations

import re
from typing import Final

from schemas.errors import InvalidMessageError
from schemas.ids import uuid7
from schemas.tokens import (
    ADMIN_TOKEN_S_MAX,
    ADMIN_TYP,
    AUDIENCE,
    ISSUER,
    AdminClaims,
    AdminRole,
)
from streams.identity import Identity
from streams.tokens import issue

DAY_S = 86_400
_CONTENTS: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\*?")


def issue_admin_token(
    operator: Identity,
    *,
    role: AdminRole,
    subject: str,
    lifetime_s: int,
    now_ms: int,
    randomness: bytes,
    contents: tuple[str, ...] = (),
) -> str:
    """A token of this role; `randomness` is 10 bytes. Lives at most a year.

    Raises InvalidMessageError where the lifetime, the subject or the contents cannot be.
    """
    assert operator.role == "operator"
    if not 1 <= lifetime_s <= ADMIN_TOKEN_S_MAX:
        raise InvalidMessageError("lifetime", f"1 to {ADMIN_TOKEN_S_MAX} seconds")
    if not 1 <= len(subject) <= 128:
        raise InvalidMessageError("subject", "1 to 128 characters")
    for each in contents:
        if not _CONTENTS.fullmatch(each):
            raise InvalidMessageError(
                "contents", f"{each!r} is no content id, nor one's beginning*"
            )
    if contents and role != "packager":
        raise InvalidMessageError("contents", "only a packager's token is for some contents")
    claims = AdminClaims(
        iss=ISSUER,
        aud=AUDIENCE,
        sub=subject,
        jti=str(uuid7(now_ms, randomness)),
        iat=now_ms // 1000,
        exp=now_ms // 1000 + lifetime_s,
        role=role,
        contents=contents,
    )
    return issue(operator, claims, typ=ADMIN_TYP)
