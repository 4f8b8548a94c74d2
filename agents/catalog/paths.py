"""Paths below a title's folder: what else they could reach is refused."""

from __future__ import annotations

from typing import Final

PATH_LENGTH_MAX: Final = 512
_FORBIDDEN: Final = frozenset('\\?#%<>"|')


def path_problem(path: str) -> str:
    """What is wrong with a relative path; empty where nothing is."""
    if not path or len(path) > PATH_LENGTH_MAX:
        return f"1 to {PATH_LENGTH_MAX} characters"
    if path.startswith("/") or ":" in path.split("/", maxsplit=1)[0]:
        return "relative to the title's folder"
    if any(part in {"", ".", ".."} for part in path.split("/")):
        return "no empty part, no `.` and no `..`"
    if any(character in _FORBIDDEN or ord(character) < 0x20 for character in path):
        return "plain characters only"
    return ""
