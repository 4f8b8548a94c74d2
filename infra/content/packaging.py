"""From a source to a title in storage: encode, encrypt, read the facts, upload."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from infra.content.binaries import MediaTools
from infra.content.encode import Encoding, audio_id, encode
from infra.content.encryption import RequestKeys, Stream, encrypt
from infra.content.errors import MediaError
from infra.content.ladder import FittedRung
from infra.content.poster import write_poster
from infra.content.source import Source, SubtitleInput
from infra.content.storage import Storage
from infra.content.subtitles import write_subtitles
from infra.content.timeline import TrackFacts, read_facts
from schemas.catalog import AudioTrack, Rendition, StorageLocation, Tier, Title
from schemas.licenses import TierKey

MEDIA = "media"

Stage = Literal["keys", "encode", "encrypt", "upload", "done"]
Progress = Callable[[str, Stage, float], None]
"""Told the content id, the stage, and the share of that stage that is done, 0 to 1."""


class PackagingJob(msgspec.Struct, frozen=True, kw_only=True):
    """One title to be made. `draft` says what people wrote; the rest of it is filled in.

    `revision` is new for every packaging of a content: files are served as immutable.
    Where `poster` is None, a frame of the picture is taken.
    """

    draft: Title
    revision: str
    source: Source
    encoding: Encoding
    subtitles: tuple[SubtitleInput, ...] = ()
    poster: Path | None = None


async def package_title(
    job: PackagingJob,
    *,
    tools: MediaTools,
    storage: Storage,
    request_keys: RequestKeys,
    work_root: Path,
    on_progress: Progress,
) -> Title:
    """The title as it lies in storage, complete but for the catalog's own fields.

    MediaError where the source is at fault; files may lie in storage then, unlisted.
    """
    content_id = job.draft.content_id
    on_progress(content_id, "keys", 0)
    keys = await request_keys(content_id, tiers_of(job))
    check_keys(keys, tiers_of(job))
    with tempfile.TemporaryDirectory(dir=work_root, prefix=f"{content_id}-") as folder:
        work_dir = Path(folder)
        media_dir = work_dir / MEDIA
        media_dir.mkdir()
        title = await _make(job, keys, tools, work_dir, on_progress)
        on_progress(content_id, "upload", 0)
        await asyncio.to_thread(storage.upload, media_dir, f"{content_id}/{job.revision}")
    on_progress(content_id, "done", 1)
    location = StorageLocation(url=storage.url_of(content_id))
    return msgspec.structs.replace(title, storage=(location,))


async def _make(
    job: PackagingJob,
    keys: tuple[TierKey, ...],
    tools: MediaTools,
    work_dir: Path,
    on_progress: Progress,
) -> Title:
    content_id, media_dir = job.draft.content_id, work_dir / MEDIA
    await encode(
        tools,
        job.source,
        job.encoding,
        work_dir,
        lambda share: on_progress(content_id, "encode", share),
    )
    on_progress(content_id, "encrypt", 0)
    poster = await write_poster(tools, job.poster, work_dir / _tallest(job), media_dir)
    manifest = await encrypt(tools, streams_of(job), keys, work_dir=work_dir, out=MEDIA)
    facts = read_facts(manifest, media_dir, job.revision)
    check_encrypted(facts, keys)
    texts = job.source.subtitles + job.subtitles
    subtitles = await write_subtitles(tools, texts, media_dir=media_dir, prefix=job.revision)
    return msgspec.structs.replace(
        job.draft,
        duration_ms=max(facts[rung.rendition_id].duration_ms() for rung in job.encoding.rungs),
        poster=f"{job.revision}/{poster}",
        video=tuple(_rendition(rung, facts[rung.rendition_id], job) for rung in job.encoding.rungs),
        audio=_audio_tracks(job.source, facts),
        subtitles=subtitles,
    )


def tiers_of(job: PackagingJob) -> tuple[Tier, ...]:
    """The tiers that need a key, each once."""
    tiers: list[Tier] = ["audio"] if job.source.audio else []
    tiers += [rung.tier for rung in job.encoding.rungs]
    return tuple(dict.fromkeys(tiers))


def check_keys(keys: tuple[TierKey, ...], tiers: tuple[Tier, ...]) -> None:
    """MediaError unless there is one distinct key for each tier: no key, no clear title."""
    missing = set(tiers) - {key.tier for key in keys}
    if missing:
        raise MediaError(f"no key was given for {', '.join(sorted(missing))}")
    if len({key.key_id for key in keys}) != len(keys):
        raise MediaError("two tiers were given one key id")


def check_encrypted(facts: dict[str, TrackFacts], keys: tuple[TierKey, ...]) -> None:
    """Halts before anything is stored in clear or under a foreign key."""
    known = {key.key_id for key in keys}
    for fact in facts.values():
        if fact.key_id not in known:
            raise MediaError(f"track {fact.track_id} is not under one of this title's keys")


def streams_of(job: PackagingJob) -> tuple[Stream, ...]:
    """The encoded files and the tier of each."""
    video = tuple(
        Stream(track_id=rung.rendition_id, kind="video", tier=rung.tier)
        for rung in job.encoding.rungs
    )
    audio = tuple(
        Stream(track_id=audio_id(number), kind="audio", tier="audio", language=track.language)
        for number, track in enumerate(job.source.audio)
    )
    return video + audio


def _tallest(job: PackagingJob) -> str:
    return f"{job.encoding.rungs[-1].rendition_id}.mp4"


def _rendition(rung: FittedRung, facts: TrackFacts, job: PackagingJob) -> Rendition:
    return Rendition(
        rendition_id=rung.rendition_id,
        width=rung.width,
        height=rung.height,
        frame_rate=round(float(job.source.frame_rate), 3),
        codecs=facts.codecs,
        bitrate_kbps=facts.peak_kbps,
        average_bitrate_kbps=facts.average_kbps,
        tier=rung.tier,
        key_id=facts.key_id,
        segments=facts.segments,
    )


def _audio_tracks(source: Source, facts: dict[str, TrackFacts]) -> tuple[AudioTrack, ...]:
    return tuple(
        AudioTrack(
            track_id=audio_id(number),
            language=track.language,
            label=track.label,
            channels=facts[audio_id(number)].channels,
            sampling_rate_hz=facts[audio_id(number)].sampling_rate_hz,
            codecs=facts[audio_id(number)].codecs,
            bitrate_kbps=facts[audio_id(number)].peak_kbps,
            key_id=facts[audio_id(number)].key_id,
            segments=facts[audio_id(number)].segments,
            is_default=track.is_default,
        )
        for number, track in enumerate(source.audio)
    )
