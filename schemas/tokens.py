"""What tokens say, and how the two opaque ones are written.

Access, session and administration tokens are EdDSA JWTs (`streams.tokens`); `SessionClaims` stand
in `schemas.sessions`. Refresh and reset tokens are opaque to everyone but the account agent, except
for the account id that they start with: the gateway keys the request by it.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec

ACCESS_TYP: Final = "at+jwt"
SESSION_TYP: Final = "session+jwt"
ADMIN_TYP: Final = "admin+jwt"

ISSUER: Final = "playhead"
AUDIENCE: Final = "playhead"
ADMIN_AUDIENCE: Final = "playhead-admin"

AdminRole = Literal["operator", "catalog", "billing", "edge", "ingest"]
ADMIN_ROLES: Final[tuple[AdminRole, ...]] = get_args(AdminRole)

_ACCOUNT_ID_CHARS: Final = 36


class AccessClaims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An access token's payload: who signed in, and how new the account is."""

    iss: str
    aud: str
    jti: str
    iat: int
    exp: int
    """Seconds, as RFC 7519 has them; at most 15 min after `iat`."""
    sub: str
    """The account id."""
    version: int = 0
    """The account's version when the token was issued: agents wait until they have seen it."""
    family: str = ""
    """The refresh-token family, which signing out here ends."""


class AdminClaims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The payload of a token for people and machines that are no viewers."""

    iss: str
    aud: str
    jti: str
    iat: int
    exp: int
    sub: str
    """Who has it, for the log."""
    role: AdminRole


def write_opaque_token(account_id: str, secret: str) -> str:
    """A refresh or reset token: the account id, a dot, and what only the account agent knows."""
    return f"{account_id}.{secret}"


def account_of_opaque_token(token: str) -> str | None:
    """The account id that a refresh or reset token starts with; None where it is none."""
    account_id, dot, secret = token.partition(".")
    return account_id if dot and secret and len(account_id) == _ACCOUNT_ID_CHARS else None


def credentials_info(account_id: str) -> bytes:
    """The context that `schemas.accounts.Credentials` are sealed to (HPKE `info`)."""
    return f"playhead credentials v1 {account_id}".encode()
