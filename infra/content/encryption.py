"""CENC by Shaka Packager. Keys reach it through a pipe: never as an argument, never on disk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from infra.content.binaries import MediaTools
from infra.content.encode import SEGMENT_S
from infra.content.errors import MediaToolError
from infra.content.process import run_tool
from schemas.catalog import ContentId, Tier
from schemas.licenses import TierKey

MANIFEST = "packager.mpd"
KEY_BYTES = 16

RequestKeys = Callable[[ContentId, tuple[Tier, ...]], Awaitable[tuple[TierKey, ...]]]
"""Asks the license agent for one key per tier; it makes those that are missing."""


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """One encoded file that becomes one track."""

    track_id: str
    kind: str  # "video" or "audio", as the packager calls it
    tier: Tier
    language: str = ""


async def encrypt(
    tools: MediaTools,
    streams: tuple[Stream, ...],
    keys: tuple[TierKey, ...],
    *,
    work_dir: Path,
    out: str,
) -> Path:
    """Turns {track_id}.mp4 of work_dir into {out}/{track_id}/init.mp4, 1.m4s, …; gives the MPD."""
    descriptors = [descriptor(stream, out) for stream in streams]
    try:
        # /dev/stdin is a pipe: the only one of the packager's inputs that no other process reads.
        await run_tool(
            [tools.packager, "--flagfile=/dev/stdin", *descriptors, f"--mpd_output={MANIFEST}"],
            cwd=work_dir,
            stdin=packager_flags(keys),
        )
    except MediaToolError as error:
        # From None: the packager may repeat a flag that it did not understand.
        raise MediaToolError(_without_keys(str(error), keys)) from None
    return work_dir / MANIFEST


def descriptor(stream: Stream, out: str) -> str:
    """The packager's words for one track: relative paths, since a comma cannot be said in them."""
    parts = [
        f"in={stream.track_id}.mp4",
        f"stream={stream.kind}",
        f"init_segment={out}/{stream.track_id}/init.mp4",
        f"segment_template={out}/{stream.track_id}/$Number$.m4s",
        f"drm_label={stream.tier.upper()}",
    ]
    if stream.language not in ("", "und"):  # It refuses to be told that nothing is known.
        parts.append(f"language={stream.language}")
    return ",".join(parts)


def packager_flags(keys: tuple[TierKey, ...]) -> bytes:
    """A flag file, secret: one key per label, CENC from the first segment on."""
    assert keys
    assert all(len(key.key) == KEY_BYTES for key in keys)
    labels = ",".join(
        f"label={key.tier.upper()}:key_id={key.key_id}:key={key.key.hex()}" for key in keys
    )
    lines = (
        "--enable_raw_key_encryption",
        f"--keys={labels}",
        "--protection_scheme=cenc",
        "--protection_systems=CommonSystem",
        "--clear_lead=0",
        f"--segment_duration={SEGMENT_S}",
        "--generate_static_live_mpd",
        "--quiet",
    )
    return ("\n".join(lines) + "\n").encode()


def _without_keys(text: str, keys: tuple[TierKey, ...]) -> str:
    for key in keys:
        text = text.replace(key.key.hex(), "***")
    return text
