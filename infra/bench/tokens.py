"""Session tokens for benchmarks, signed with the sandbox's own license identity."""

from __future__ import annotations

import secrets

from infra.deployment import Deployment
from infra.keys.folder import KeyFolder
from schemas.ids import uuid7
from schemas.sessions import SessionClaims
from schemas.tokens import AUDIENCE, ISSUER, SESSION_TYP
from streams.clock import system_clock
from streams.tokens import issue


def a_session(deployment: Deployment) -> tuple[str, str]:
    """A new session id and a token for it, as the license agent would issue it."""
    now_ms = system_clock()
    session_id = str(uuid7(now_ms, secrets.token_bytes(10)))
    claims = SessionClaims(
        iss=ISSUER,
        aud=AUDIENCE,
        jti=session_id,
        iat=now_ms // 1000,
        exp=now_ms // 1000 + 3600,
        sid=session_id,
        account_id=str(uuid7(now_ms, secrets.token_bytes(10))),
        profile_id="bench",
        content_id="bench",
        tiers=("audio", "sd"),
        max_height=480,
        region="DE",
        plan="basic",
    )
    identity = KeyFolder(deployment.keys).identity("license")
    return session_id, issue(identity, claims, typ=SESSION_TYP)
