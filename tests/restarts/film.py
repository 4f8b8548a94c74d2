"""A listed title that edges really serve: its segments' bytes are noise, for no player looks."""

from __future__ import annotations

import random

import msgspec

from infra.content.storage import Storage
from infra.sandbox import Sandbox
from infra.wiring.packager import open_packager
from schemas.catalog import Segments, StorageLocation, Tier
from tests.builders import a_rendition, a_title, an_audio_track

CONTENT_ID = "small-film"
SEGMENT_COUNT = 40
SEGMENT_BYTES = 20_000
TIERS: tuple[Tier, ...] = ("audio", "sd", "hd")


class Film(msgspec.Struct, frozen=True, kw_only=True):
    """What a viewer of it must get."""

    content_id: str
    key_ids: dict[Tier, str]
    """Hex."""
    segments: tuple[bytes, ...]
    """Of the rendition `v360`."""


async def list_film(sandbox: Sandbox) -> Film:
    """Keys from the license agent, segments into the storage, the title into the catalog."""
    noise = random.Random(1)
    segments = tuple(noise.randbytes(SEGMENT_BYTES) for _ in range(SEGMENT_COUNT))
    url = f"{sandbox.deployment.storage_url}/{CONTENT_ID}"
    storage = Storage(url)
    for number, data in enumerate(segments, 1):
        storage.write(f"v360/{number}.m4s", data)
    async with open_packager(sandbox.deployment) as packager:
        keys = await packager.request_keys(CONTENT_ID, TIERS)
        key_ids = {key.tier: key.key_id for key in keys}
        video = (
            a_rendition(360, 500, key_id=key_ids["sd"], segments=_layout("v360")),
            a_rendition(720, 2000, key_id=key_ids["hd"], segments=_layout("v720")),
        )
        audio = (an_audio_track(key_id=key_ids["audio"], segments=_layout("a-en")),)
        title = a_title(
            CONTENT_ID,
            duration_ms=SEGMENT_COUNT * 2000,
            storage=(StorageLocation(url=url),),
            video=video,
            audio=audio,
        )
        await packager.put(title)
    return Film(content_id=CONTENT_ID, key_ids=key_ids, segments=segments)


def _layout(track: str) -> Segments:
    return Segments(
        init=f"{track}/init.mp4",
        media=f"{track}/$Number$.m4s",
        timescale=1000,
        durations=(2000,) * SEGMENT_COUNT,
        sizes_bytes=(SEGMENT_BYTES,) * SEGMENT_COUNT,
    )
