"""What is wrong with a title, in words for whoever sent it: a broken one breaks players later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import msgspec

from agents.catalog.media import audio_problems, video_problems
from agents.catalog.paths import path_problem
from schemas.catalog import Title

DURATION_MS_MAX: Final = 24 * 3_600_000
TITLE_LENGTH_MAX: Final = 300
DESCRIPTION_LENGTH_MAX: Final = 10_000
RENDITIONS_MAX: Final = 32
TRACKS_MAX: Final = 128
LABELS_MAX: Final = 256
PROBLEMS_MAX: Final = 20


class CatalogLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a deployment allows."""

    storage_schemes: tuple[str, ...] = ("file", "s3")


def problems_of(title: Title, limits: CatalogLimits) -> tuple[str, ...]:
    """Every problem found (at most PROBLEMS_MAX), each beginning with its field; empty: sound."""
    found: list[str] = []
    for problem in _all_problems(title, limits):
        found.append(problem)
        if len(found) == PROBLEMS_MAX:
            break
    return tuple(found)


def _all_problems(title: Title, limits: CatalogLimits) -> Iterator[str]:
    yield from _text_problems(title)
    yield from _availability_problems(title)
    yield from _storage_problems(title, limits)
    yield from _track_count_problems(title)
    yield from video_problems(title)
    yield from audio_problems(title)
    yield from _key_problems(title)
    for index, subtitle in enumerate(title.subtitles):
        problem = path_problem(subtitle.path)
        if problem:
            yield f"subtitles[{index}].path: {problem}"


def _text_problems(title: Title) -> Iterator[str]:
    if not title.title.strip() or len(title.title) > TITLE_LENGTH_MAX:
        yield f"title: 1 to {TITLE_LENGTH_MAX} characters"
    if len(title.description) > DESCRIPTION_LENGTH_MAX:
        yield f"description: at most {DESCRIPTION_LENGTH_MAX} characters"
    if not 0 < title.duration_ms <= DURATION_MS_MAX:
        yield f"duration_ms: 1 to {DURATION_MS_MAX}"
    if title.poster:
        problem = path_problem(title.poster)
        if problem:
            yield f"poster: {problem}"
    labels = (("genres", title.genres), ("people", title.people), ("regions", title.regions))
    for name, values in labels:
        if len(values) > LABELS_MAX or len(set(values)) != len(values):
            yield f"{name}: at most {LABELS_MAX}, each once"
    if not all(_is_region(region) for region in title.regions):
        yield "regions: two capital letters each (ISO 3166-1)"


def _availability_problems(title: Title) -> Iterator[str]:
    if (
        title.available_from_ms is not None
        and title.available_until_ms is not None
        and title.available_from_ms >= title.available_until_ms
    ):
        yield "available_until_ms: not after available_from_ms"


def _storage_problems(title: Title, limits: CatalogLimits) -> Iterator[str]:
    if title.video and not title.storage:
        yield "storage: a title with video lies somewhere"
    for index, location in enumerate(title.storage):
        field = f"storage[{index}].url"
        try:
            parts = urlsplit(location.url)
            has_credentials = parts.username is not None or parts.password is not None
        except ValueError:
            yield f"{field}: not a URL"
            continue
        if parts.scheme not in limits.storage_schemes:
            yield f"{field}: one of {', '.join(limits.storage_schemes)}"
        if has_credentials or parts.query or parts.fragment:
            yield f"{field}: no credentials, query or fragment"
        if ".." in parts.path.split("/") or "%" in parts.path:
            yield f"{field}: no `..` and nothing escaped"


def _track_count_problems(title: Title) -> Iterator[str]:
    if title.listed and not title.video:
        yield "video: a listed title has something to play"
    if len(title.video) > RENDITIONS_MAX:
        yield f"video: at most {RENDITIONS_MAX} renditions"
    if len(title.audio) + len(title.subtitles) > TRACKS_MAX:
        yield f"audio, subtitles: at most {TRACKS_MAX} tracks"
    ids = Counter(
        [rendition.rendition_id for rendition in title.video]
        + [track.track_id for track in title.audio]
        + [track.track_id for track in title.subtitles]
    )
    for track_id, count in ids.items():
        if count > 1 or not track_id or "/" in track_id or len(track_id) > 64:
            yield f"{track_id or '(empty)'}: ids are unique, 1 to 64 characters without a slash"


def _key_problems(title: Title) -> Iterator[str]:
    """Either everything is encrypted or nothing; a tier's key opens that tier and no other."""
    keys = [rendition.key_id for rendition in title.video]
    keys += [track.key_id for track in title.audio]
    if any(keys) and not all(keys):
        yield "key_id: some tracks have a key and some have none"
    tiers: dict[str, set[str]] = {}
    tracks = [(r.tier, r.key_id) for r in title.video] + [("audio", a.key_id) for a in title.audio]
    for tier, key_id in tracks:
        if key_id is not None:
            tiers.setdefault(key_id, set()).add(tier)
    for key_id, opened in tiers.items():
        if len(opened) > 1:
            yield f"key_id: {key_id} opens {' and '.join(sorted(opened))}"
    for tier in sorted({tier for tier, _ in tracks}):
        if len({key_id for key, key_id in tracks if key == tier}) > 1:
            yield f"key_id: tier {tier} has more than one key"


def _is_region(region: str) -> bool:
    return len(region) == 2 and region.isascii() and region.isalpha() and region.isupper()
