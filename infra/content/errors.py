"""What can go wrong with a video file, told to whoever brought it."""

from __future__ import annotations

from schemas.errors import PlayheadError


class MediaError(PlayheadError):
    """The file cannot become a title; the message says what to change."""


class MediaToolError(MediaError):
    """ffmpeg, ffprobe or the packager ended with an error; the message ends with its last lines."""
