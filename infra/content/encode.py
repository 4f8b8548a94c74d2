"""One decode, many encodings: the ladder and the audio tracks by a single ffmpeg."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Literal

import msgspec

from infra.content.binaries import MediaTools
from infra.content.ladder import FittedRung
from infra.content.process import run_tool
from infra.content.source import Source

SEGMENT_S = 2
AUDIO_SAMPLING_RATE_HZ = 48_000
AUDIO_KBPS_PER_CHANNEL = 64

# What the fast preset gives away in sharpness anyway, its scaler need not compute.
SCALER = {"ultrafast": "bilinear", "veryfast": "bicubic", "medium": "lanczos"}

Preset = Literal["ultrafast", "veryfast", "medium"]


class Encoding(msgspec.Struct, frozen=True, kw_only=True):
    """How to encode; a badge is a picture laid over one rendition, by rendition id."""

    rungs: tuple[FittedRung, ...]
    preset: Preset = "veryfast"
    badges: Mapping[str, Path] = msgspec.field(default_factory=dict)


def audio_id(number: int) -> str:
    """The track id of the source's audio input with this number."""
    return f"a{number}"


async def encode(
    tools: MediaTools,
    source: Source,
    encoding: Encoding,
    work_dir: Path,
    on_progress: Callable[[float], None],
) -> None:
    """Writes {rendition_id}.mp4 and {audio_id}.mp4 to work_dir; reports the share done, 0 to 1."""

    def read(line: str) -> None:
        key, _, value = line.partition("=")
        if key == "out_time_us" and value.isdigit():
            on_progress(min(1.0, int(value) / 1000 / source.duration_ms))

    await run_tool([tools.ffmpeg, *encode_args(source, encoding)], cwd=work_dir, on_line=read)


def encode_args(source: Source, encoding: Encoding) -> tuple[str, ...]:
    """Pure: ffmpeg's arguments. Outputs are relative to its working directory."""
    args = ["-hide_banner", "-v", "error", "-nostdin", "-y", "-progress", "pipe:1"]
    args += source.input_args
    for badge in encoding.badges.values():
        args += ["-i", str(badge)]
    args += ["-filter_complex", filter_graph(source, encoding)]
    for rung in encoding.rungs:
        args += _video_args(rung, source, encoding.preset)
    for number, track in enumerate(source.audio):
        args += ["-map", track.selector, *_audio_args(track.channels), *_limit(source)]
        args.append(f"{audio_id(number)}.mp4")
    return tuple(args)


def filter_graph(source: Source, encoding: Encoding) -> str:
    """The source's graph, split over the rungs, each scaled and with its badge."""
    rungs = encoding.rungs
    first_badge = source.input_args.count("-i")
    badge_inputs = {name: first_badge + n for n, name in enumerate(encoding.badges)}
    branches = "".join(f"[split{n}]" for n in range(len(rungs)))
    parts = [
        source.graph,
        f"[picture]fps={_text(source.frame_rate)},format=yuv420p,split={len(rungs)}{branches}",
    ]
    scaler = SCALER[encoding.preset]
    for number, rung in enumerate(rungs):
        scaled = f"[split{number}]scale={rung.width}:{rung.height}:flags={scaler},setsar=1"
        badge = badge_inputs.get(rung.rendition_id)
        if badge is not None:
            parts.append(f"{scaled}[scaled{number}]")
            scaled = f"[scaled{number}][{badge}:v]overlay=x=W-w-h/2:y=h/2:format=yuv420"
        parts.append(f"{scaled}[{rung.rendition_id}]")
    return ";".join(parts)


def _video_args(rung: FittedRung, source: Source, preset: Preset) -> list[str]:
    # Forced key frames stand at the same times in every rung, so that segments align.
    return [
        *("-map", f"[{rung.rendition_id}]", "-c:v", "libx264", "-preset", preset),
        *("-b:v", f"{rung.bitrate_kbps}k", "-maxrate", f"{rung.bitrate_kbps * 6 // 5}k"),
        *("-bufsize", f"{rung.bitrate_kbps * 3 // 2}k", "-sc_threshold", "0"),
        *("-g", str(math.ceil(source.frame_rate * SEGMENT_S))),
        *("-force_key_frames", f"expr:gte(t,n_forced*{SEGMENT_S})"),
        *("-an", "-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1"),
        *_limit(source),
        f"{rung.rendition_id}.mp4",
    ]


def _audio_args(channels: int) -> list[str]:
    return [
        *(
            "-c:a",
            "aac",
            "-aac_coder",
            "fast",
            "-b:a",
            f"{AUDIO_KBPS_PER_CHANNEL * channels}k",
            "-ac",
            str(channels),
        ),
        *("-ar", str(AUDIO_SAMPLING_RATE_HZ), "-map_metadata", "-1", "-map_chapters", "-1"),
    ]


def _limit(source: Source) -> tuple[str, str]:
    return ("-t", f"{source.duration_ms}ms")


def _text(rate: Fraction) -> str:
    return f"{rate.numerator}/{rate.denominator}"
