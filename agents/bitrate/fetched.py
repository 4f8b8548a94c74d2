"""Which segment of a title a URL names: players report times, the catalog knows the bytes."""

from __future__ import annotations

import msgspec

from schemas.catalog import Segments, Title


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """A fetched file of a title."""

    is_video: bool
    object_bytes: int | None
    """None where the catalog does not know it, and for initialization segments."""
    segment: int | None = None
    """Which of the track's segments, from 0; None for initialization segments."""


def find_fetched(title: Title, url: str) -> Fetched | None:
    """The title's file that a URL or path ends with; None where it has none."""
    path = url.partition("?")[0]
    for rendition in title.video:
        found = _match(rendition.segments, path, is_video=True)
        if found is not None:
            return found
    for track in title.audio:
        found = _match(track.segments, path, is_video=False)
        if found is not None:
            return found
    return None


def _match(segments: Segments, path: str, *, is_video: bool) -> Fetched | None:
    if path.endswith("/" + segments.init):
        return Fetched(is_video=False, object_bytes=None)
    prefix, number_mark, suffix = segments.media.partition("$Number$")
    if not number_mark or not path.endswith(suffix):
        return None
    before, slash, number = path[: len(path) - len(suffix)].rpartition("/" + prefix)
    if not slash or not before or not number.isdecimal() or len(number) > 9:
        return None
    index = int(number) - segments.first_number
    known = 0 <= index < len(segments.sizes_bytes)
    return Fetched(
        is_video=is_video,
        object_bytes=segments.sizes_bytes[index] if known else None,
        segment=index if index >= 0 else None,
    )
