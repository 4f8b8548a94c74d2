"""A session's arms as one word of a column: few are distinct."""

from __future__ import annotations

from collections.abc import Mapping

from schemas import codec


def arms_word(arms: Mapping[str, str]) -> str:
    """JSON, sorted by experiment; empty where there is none."""
    return codec.encode(dict(sorted(arms.items()))).decode() if arms else ""
