"""Takes back accounts, devices, models, keys, sessions and tokens, and gives them back."""

from __future__ import annotations

import jwt

from agents.license.revocations import Revocations
from infra.deployment import Deployment
from infra.operations.log_access import publishing, read_newest
from infra.operations.operator import require_keys
from schemas.errors import InvalidMessageError
from schemas.revocations import Revocation, RevokedKind, revocation_key
from schemas.sessions import Session
from streams.topics import REVOCATIONS, SESSIONS


def subject_of(kind: RevokedKind, given: str) -> str:
    """What a revocation names: of a whole token its `jti`, else what is given.

    The signature does not matter: who names a token that was never made takes nothing back.
    """
    if kind != "token" or given.count(".") != 2:
        return given
    try:
        jti = jwt.decode(given, options={"verify_signature": False}).get("jti")
    except jwt.PyJWTError:
        jti = None
    if not isinstance(jti, str):
        raise InvalidMessageError("token", "give the token as it was made, or its jti")
    return jti


async def revoke(deployment: Deployment, revocation: Revocation) -> None:
    """Acknowledged in the log; it counts wherever that is read. Raises PlayheadError."""
    require_keys(deployment)
    key = revocation_key(revocation.kind, revocation.subject)
    async with publishing(deployment) as publisher:
        await publisher.publish(REVOCATIONS, key, revocation)


async def reinstate(deployment: Deployment, kind: RevokedKind, subject: str) -> bool:
    """Whether it was revoked; what was ended stays ended. Raises PlayheadError."""
    require_keys(deployment)
    key = revocation_key(kind, subject)
    if key not in await read_newest(deployment, REVOCATIONS):
        return False
    async with publishing(deployment) as publisher:
        await publisher.publish(REVOCATIONS, key, None)
    return True


async def read_revocations(deployment: Deployment) -> tuple[Revocation, ...]:
    """All that count, the latest first. Raises PlayheadError."""
    require_keys(deployment)
    known: dict[str, Revocation] = await read_newest(deployment, REVOCATIONS)
    return tuple(sorted(known.values(), key=lambda each: -each.at_ms))


def folded(revocations: tuple[Revocation, ...]) -> Revocations:
    """As the license agent knows them."""
    found = Revocations()
    for each in revocations:
        found.add(each)
    return found


async def sessions_to_end(
    deployment: Deployment, revocation: Revocation, now_ms: int
) -> tuple[Session, ...]:
    """The running sessions that the revocation ends. Raises PlayheadError."""
    require_keys(deployment)
    sessions: dict[str, Session] = await read_newest(deployment, SESSIONS)
    revocations = folded((revocation,))
    return tuple(
        session
        for session in sessions.values()
        if session.ended_at_ms is None
        and session.expires_at_ms > now_ms
        and revocations.of_session(session)
    )
