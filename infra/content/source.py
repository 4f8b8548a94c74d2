"""What is to be packaged, as ffmpeg sees it: a file, or a picture that a filter makes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import msgspec

from infra.content.errors import MediaError


def file_input(path: Path) -> tuple[str, ...]:
    """ffmpeg's arguments to read a local file; MediaError where there is none.

    The prefix keeps a name like "http:x.mp4" from being read as a URL, and the list keeps a
    playlist in disguise from opening anything but files.
    """
    if not path.is_file():
        raise MediaError(f"there is no file {path}")
    return ("-protocol_whitelist", "file", "-i", f"file:{path.absolute()}")


class AudioInput(msgspec.Struct, frozen=True, kw_only=True):
    """One sound; `selector` is what ffmpeg's -map takes ("0:a:0", or a label of the graph)."""

    selector: str
    language: str
    label: str
    is_default: bool = False
    channels: int = 2


class SubtitleInput(msgspec.Struct, frozen=True, kw_only=True):
    """One text; any format that ffmpeg reads. `selector` names a stream of that file."""

    path: Path
    language: str
    label: str
    selector: str = "0:s:0"


class ExternalAudio(msgspec.Struct, frozen=True, kw_only=True):
    """A further audio file beside the video."""

    path: Path
    language: str
    label: str


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Inputs and a filter graph that ends in [picture]; sizes are those that a viewer sees."""

    input_args: tuple[str, ...]
    graph: str
    width: int
    height: int
    frame_rate: Fraction
    duration_ms: int
    audio: tuple[AudioInput, ...] = ()
    subtitles: tuple[SubtitleInput, ...] = ()
