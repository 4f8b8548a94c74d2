"""Any text that ffmpeg reads, as WebVTT."""

from __future__ import annotations

from pathlib import Path

from infra.content.binaries import MediaTools
from infra.content.errors import MediaError
from infra.content.process import run_tool
from infra.content.source import SubtitleInput, file_input
from schemas.catalog import SubtitleTrack

SUBTITLE_BYTES_MAX = 4 << 20


async def write_subtitles(
    tools: MediaTools, inputs: tuple[SubtitleInput, ...], *, media_dir: Path, prefix: str
) -> tuple[SubtitleTrack, ...]:
    """Writes t0.vtt, t1.vtt, … to media_dir and gives the tracks."""
    tracks = []
    for number, text in enumerate(inputs):
        name = f"t{number}.vtt"
        await _convert(tools, text, media_dir / name)
        tracks.append(
            SubtitleTrack(
                track_id=f"t{number}",
                language=text.language,
                label=text.label,
                path=f"{prefix}/{name}",
            )
        )
    return tuple(tracks)


async def _convert(tools: MediaTools, text: SubtitleInput, target: Path) -> None:
    await run_tool(
        [
            *(tools.ffmpeg, "-v", "error", "-nostdin", "-y"),
            *(*file_input(text.path), "-map", text.selector),
            *("-c:s", "webvtt", "-f", "webvtt", str(target)),
        ]
    )
    _check_size(text, target)


def _check_size(text: SubtitleInput, target: Path) -> None:
    size_bytes = target.stat().st_size
    if not 0 < size_bytes <= SUBTITLE_BYTES_MAX:
        raise MediaError(f"{text.path.name}: {size_bytes} bytes of subtitles")
