"""What tokens say, and how refresh and reset tokens name their account.

Session tokens: `schemas.sessions.SessionClaims`.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final, Literal
from uuid import UUID

import msgspec

from schemas.errors import InvalidMessageError
from schemas.ids import base64url

ISSUER: Final = "playhead"
AUDIENCE: Final = "playhead"
ACCESS_TYP: Final = "at+jwt"
"""RFC 9068; signed by role `account`."""
SESSION_TYP: Final = "session+jwt"
"""Signed by role `license`."""
ADMIN_TYP: Final = "admin+jwt"
"""Signed by role `operator`."""
PROFILE_TYP: Final = "profile+jwt"
"""Signed by role `account`."""
ACCESS_TOKEN_S: Final = 900
SESSION_TOKEN_S_MAX: Final = 86_400
ADMIN_TOKEN_S_MAX: Final = 366 * 86_400
PROFILE_TOKEN_S: Final = 4 * 3_600
OPAQUE_TOKEN_CHARACTERS_MAX: Final = 256

AdminRole = Literal["operator", "catalog", "billing", "edge", "ingest", "packager"]


class AccessClaims(msgspec.Struct, frozen=True, kw_only=True):
    """Who is signed in. `typ` is checked as a claim too: no other token decodes as this."""

    iss: str
    aud: str
    sub: str
    """The account id."""
    jti: str
    iat: int
    exp: int
    """Seconds, as RFC 7519 has them."""
    ver: int
    """The account's version at sign-in: who decides waits until it has seen it."""
    fam: str = ""
    """The refresh-token family, for signing out here only."""
    typ: Literal["access"] = "access"


class ProfileClaims(msgspec.Struct, frozen=True, kw_only=True):
    """That the PIN of a profile was said; another PIN ends it."""

    iss: str
    aud: str
    sub: str
    """The account id."""
    jti: str
    iat: int
    exp: int
    profile_id: str
    pin_set_at_ms: int
    typ: Literal["profile"] = "profile"


class AdminClaims(msgspec.Struct, frozen=True, kw_only=True):
    """A person or machine that is not a viewer."""

    iss: str
    aud: str
    sub: str
    """Who it was made for, as the operator named them."""
    jti: str
    iat: int
    exp: int
    role: AdminRole
    contents: tuple[str, ...] = ()
    """Of a packager: the content ids that it may have keys of, `drama-*` for all that begin so;
    none: all."""
    typ: Literal["admin"] = "admin"

    def covers(self, content_id: str) -> bool:
        """Whether the token is good for this content."""
        return not self.contents or any(
            content_id.startswith(each[:-1]) if each.endswith("*") else content_id == each
            for each in self.contents
        )


def opaque_token(account_id: str, secret: bytes) -> str:
    """A refresh or reset token: the account, so that its request can be keyed, and a secret."""
    return base64url(UUID(account_id).bytes + secret)


def account_of_token(token: str) -> str:
    """The account that a refresh or reset token names; proves nothing.

    Raises InvalidMessageError (reason `token`) where the text cannot be one.
    """
    return str(UUID(bytes=opaque_token_bytes(token)[:16]))


def opaque_token_bytes(token: str) -> bytes:
    """Account id (16 bytes) and secret of a refresh or reset token."""
    if len(token) > OPAQUE_TOKEN_CHARACTERS_MAX:
        raise InvalidMessageError("token", "too long")
    try:
        value = base64.b64decode(
            token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True
        )
    except (binascii.Error, UnicodeEncodeError) as error:
        raise InvalidMessageError("token", "not base64url") from error
    if len(value) < 48:
        raise InvalidMessageError("token", "too short")
    return value
