"""Sessions on a title that is there, and what is decided about them."""

from __future__ import annotations

from typing import Any

from schemas.bitrate import BitrateDecision, BitrateFacts
from schemas.sessions import SessionControl
from tests.builders import a_title
from tests.gateway_fakes import NOW_MS, World

KID = "AAECAwQFBgcICQoLDA0ODw"
KEY_ID = "000102030405060708090a0b0c0d0e0f"


def a_bitrate(session_id: str, ceiling_kbps: int | None, version: int = 1) -> BitrateDecision:
    return BitrateDecision(
        session_id=session_id,
        version=version,
        ceiling_kbps=ceiling_kbps,
        rendition_id="v360",
        reason="throughput",
        facts=BitrateFacts(),
        policy_version="1",
        decided_at_ms=NOW_MS + version,
    )


def open_session(world: World, **claims: Any) -> tuple[str, str]:
    """Session id and token of a session on a title that is there."""
    title = a_title()
    world.titles.put(title.content_id, title)
    session = world.session_claims(content_id=title.content_id, **claims)
    return session.sid, world.session_token(session)


def refuse(world: World, session_id: str) -> None:
    control = SessionControl(session_id=session_id, is_refused=True, reason="ended", at_ms=NOW_MS)
    world.controls.put(session_id, control)
