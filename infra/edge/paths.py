"""Which objects may be asked for: a list of what is allowed, nothing is cleaned up."""

from __future__ import annotations

import re

PATH_CHARS_MAX = 512
CONTENT_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
# A part never starts with a dot, so neither ".." nor a hidden file can be named.
PARTS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*){0,7}")

CONTENT_TYPES = {
    "mp4": "video/mp4",
    "m4s": "video/iso.segment",
    "vtt": "text/vtt; charset=utf-8",
    "jpg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "mpd": "application/dash+xml",
    "m3u8": "application/vnd.apple.mpegurl",
}


def object_path(content_id: str, path: str) -> str | None:
    """The object's path below the storage root, from decoded parts; None where none can be."""
    if len(path) > PATH_CHARS_MAX or content_type(path) is None:
        return None
    if not CONTENT_ID.fullmatch(content_id) or not PARTS.fullmatch(path):
        return None
    return f"{content_id}/{path}"


def content_type(path: str) -> str | None:
    """By the file's ending; None for what an edge does not serve."""
    stem, _, ending = path.rpartition(".")
    return CONTENT_TYPES.get(ending) if stem else None
