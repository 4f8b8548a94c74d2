"""Reads what a video file holds, with ffprobe; every doubt is a MediaError for who brought it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import msgspec

from infra.content.binaries import MediaTools
from infra.content.errors import MediaError
from infra.content.process import run_tool
from infra.content.source import AudioInput, ExternalAudio, Source, SubtitleInput, file_input
from schemas.codec import Decoder

FRAME_RATE_MAX = 60
DURATION_MS_MAX = 12 * 3_600_000
TEXT_CODECS = frozenset({"subrip", "webvtt", "mov_text", "ass", "ssa", "text"})


class _Side(msgspec.Struct):
    rotation: float = 0


class _Stream(msgspec.Struct):
    codec_type: str = ""
    codec_name: str = ""
    width: int = 0
    height: int = 0
    sample_aspect_ratio: str = "1:1"
    avg_frame_rate: str = "0/0"
    r_frame_rate: str = "0/0"
    channels: int = 0
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    disposition: dict[str, int] = msgspec.field(default_factory=dict)
    side_data_list: list[_Side] = msgspec.field(default_factory=list)


class _Format(msgspec.Struct):
    duration: str = "0"


class _Probe(msgspec.Struct):
    streams: list[_Stream] = msgspec.field(default_factory=list)
    format: _Format = msgspec.field(default_factory=_Format)


async def probe_file(
    tools: MediaTools, path: Path, audio_files: tuple[ExternalAudio, ...] = ()
) -> Source:
    """The file as a Source, with its own audio and text streams and the further audio files."""
    probed = await _probe(tools, path)
    for extra in audio_files:
        if not any(s.codec_type == "audio" for s in (await _probe(tools, extra.path)).streams):
            raise MediaError(f"{extra.path.name} holds no audio")
    return source_of(path, probed, audio_files)


async def _probe(tools: MediaTools, path: Path) -> _Probe:
    wanted = ("-show_streams", "-show_format", "-of", "json")
    printed = await run_tool([tools.ffprobe, "-v", "error", *wanted, *file_input(path)])
    decoder: Decoder[_Probe] = Decoder(_Probe)
    return decoder.decode(printed.encode())


def source_of(path: Path, probed: _Probe, audio_files: tuple[ExternalAudio, ...]) -> Source:
    """Pure: what ffprobe told, as a Source."""
    picture = _picture(probed, path)
    width, height = _seen_size(picture)
    audio = _own_audio(probed) + _added_audio(audio_files)
    if audio and not any(track.is_default for track in audio):
        audio = (msgspec.structs.replace(audio[0], is_default=True), *audio[1:])
    inputs = [path, *(extra.path for extra in audio_files)]
    return Source(
        input_args=tuple(arg for file in inputs for arg in file_input(file)),
        graph="[0:V:0]null[picture]",
        width=width,
        height=height,
        frame_rate=_frame_rate(picture),
        duration_ms=_duration_ms(probed, path),
        audio=audio,
        subtitles=_own_subtitles(path, probed),
    )


def _picture(probed: _Probe, path: Path) -> _Stream:
    for stream in probed.streams:
        if stream.codec_type == "video" and not stream.disposition.get("attached_pic"):
            if stream.width < 16 or stream.height < 16:
                raise MediaError(f"{path.name}: the picture is {stream.width}x{stream.height}")
            return stream
    raise MediaError(f"{path.name} holds no video")


def _seen_size(picture: _Stream) -> tuple[int, int]:
    aspect = _ratio(picture.sample_aspect_ratio.replace(":", "/")) or Fraction(1)
    width, height = round(picture.width * aspect), picture.height
    turns = [side.rotation for side in picture.side_data_list]
    return (height, width) if any(round(turn) % 180 == 90 for turn in turns) else (width, height)


def _frame_rate(picture: _Stream) -> Fraction:
    rate = _ratio(picture.avg_frame_rate) or _ratio(picture.r_frame_rate) or Fraction(25)
    # A variable rate averages to odd fractions that no timescale holds exactly.
    if rate.denominator not in (1, 1001):
        rate = Fraction(max(1, round(rate)))
    return min(rate, Fraction(FRAME_RATE_MAX))


def _ratio(text: str) -> Fraction | None:
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        return None
    return value if value > 0 else None


def _duration_ms(probed: _Probe, path: Path) -> int:
    try:
        duration_ms = round(float(probed.format.duration) * 1000)
    except ValueError:
        duration_ms = 0
    if not 0 < duration_ms <= DURATION_MS_MAX:
        raise MediaError(f"{path.name}: its length is unknown or over {DURATION_MS_MAX} ms")
    return duration_ms


def _own_audio(probed: _Probe) -> tuple[AudioInput, ...]:
    streams = [stream for stream in probed.streams if stream.codec_type == "audio"]
    return tuple(
        AudioInput(
            selector=f"0:a:{number}",
            language=_language(stream),
            label=stream.tags.get("title") or _language(stream),
            is_default=bool(stream.disposition.get("default")) and number == 0,
            channels=min(2, max(1, stream.channels)),
        )
        for number, stream in enumerate(streams)
    )


def _added_audio(files: tuple[ExternalAudio, ...]) -> tuple[AudioInput, ...]:
    return tuple(
        AudioInput(selector=f"{number}:a:0", language=extra.language, label=extra.label)
        for number, extra in enumerate(files, start=1)
    )


def _own_subtitles(path: Path, probed: _Probe) -> tuple[SubtitleInput, ...]:
    streams = [stream for stream in probed.streams if stream.codec_type == "subtitle"]
    return tuple(
        SubtitleInput(
            path=path,
            language=_language(stream),
            label=stream.tags.get("title") or _language(stream),
            selector=f"0:s:{number}",
        )
        for number, stream in enumerate(streams)
        if stream.codec_name in TEXT_CODECS
    )


def _language(stream: _Stream) -> str:
    return stream.tags.get("language", "und")
