"""The picture that stands for a title in lists."""

from __future__ import annotations

import shutil
from pathlib import Path

from infra.content.binaries import MediaTools
from infra.content.process import run_tool

# Pictures within this many frames are compared, and the most typical one is taken: rarely black.
FRAMES_COMPARED = 120
WIDTH_MAX = 1280


async def write_poster(
    tools: MediaTools, given: Path | None, encoded: Path, media_dir: Path
) -> str:
    """Copies the given picture, or takes a frame of the encoded file; gives the file's name."""
    if given is not None:
        name = f"poster{given.suffix}"
        shutil.copyfile(given, media_dir / name)
        return name
    await run_tool(
        [
            *(tools.ffmpeg, "-v", "error", "-nostdin", "-y", "-i", encoded),
            *("-vf", f"thumbnail={FRAMES_COMPARED},scale='min({WIDTH_MAX},iw)':-2"),
            *("-frames:v", "1", media_dir / "poster.jpg"),
        ]
    )
    return "poster.jpg"
