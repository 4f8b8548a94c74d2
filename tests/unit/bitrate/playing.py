"""What a session plays, as the controller gets it."""

from __future__ import annotations

from agents.bitrate.controller import Playing
from agents.bitrate.ladder import build_ladder
from agents.bitrate.sizes import segment_sizes
from schemas.catalog import Title
from schemas.sessions import Session
from tests.builders import a_session, a_title


def playing(title: Title | None = None, session: Session | None = None) -> Playing:
    """`a_title` in `a_session`, unless others are given."""
    title = title or a_title()
    ladder = build_ladder(title, session or a_session())
    assert ladder is not None
    return Playing(ladder=ladder, sizes_bytes=segment_sizes(title, ladder))
