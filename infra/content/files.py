"""`content add FILE`: any video file becomes a title."""

from __future__ import annotations

from pathlib import Path

from infra.content.binaries import MediaTools
from infra.content.encode import Encoding, Preset
from infra.content.ladder import DEFAULT_LADDER, Rung, fit_ladder
from infra.content.packaging import PackagingJob
from infra.content.probe import probe_file
from infra.content.source import ExternalAudio, SubtitleInput, file_input
from schemas.catalog import Title


async def plan_file(
    tools: MediaTools,
    path: Path,
    draft: Title,
    *,
    revision: str,
    subtitles: tuple[SubtitleInput, ...] = (),
    audio: tuple[ExternalAudio, ...] = (),
    ladder: tuple[Rung, ...] = DEFAULT_LADDER,
    preset: Preset = "veryfast",
) -> PackagingJob:
    """What packaging the file would make; writes nothing. MediaError where a file is at fault."""
    for text in subtitles:
        file_input(text.path)
    source = await probe_file(tools, path, audio)
    rungs = fit_ladder(ladder, width=source.width, height=source.height)
    return PackagingJob(
        draft=draft,
        revision=revision,
        source=source,
        encoding=Encoding(rungs=rungs, preset=preset),
        subtitles=subtitles,
    )
