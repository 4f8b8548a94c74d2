"""Small real media files, keys as a license agent would give them, and a watch on processes."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.content.binaries import MediaTools
from schemas.catalog import ContentId, Tier
from schemas.licenses import TierKey


class KeyRing:
    """Stands where the license agent stands: the same key again for the same content and tier."""

    def __init__(self) -> None:
        self.keys: dict[tuple[ContentId, Tier], TierKey] = {}

    async def request(self, content_id: ContentId, tiers: tuple[Tier, ...]) -> tuple[TierKey, ...]:
        for tier in tiers:
            number = len(self.keys) + 1
            made = TierKey(tier=tier, key_id=f"{number:032x}", key=bytes([160 + number]) * 16)
            self.keys.setdefault((content_id, tier), made)
        return tuple(self.keys[content_id, tier] for tier in tiers)

    def hex_of(self, content_id: ContentId, tier: Tier) -> str:
        return self.keys[content_id, tier].key.hex()


def make_film(tools: MediaTools, path: Path, *, seconds: float = 5, size: str = "640x480") -> Path:
    """A picture that moves, with one sound."""
    picture = f"testsrc2=s={size}:r=25"
    run(
        [
            *(tools.ffmpeg, "-v", "error", "-y", "-f", "lavfi", "-i", picture),
            *("-f", "lavfi", "-i", "sine=440", "-t", str(seconds)),
            *("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"),
            *("-metadata:s:a:0", "language=eng", f"file:{path}"),
        ]
    )
    return path


def decodes(tools: MediaTools, file: Path, key_hex: str) -> bool:
    """Whether every frame of an encrypted file decodes without a complaint under this key."""
    told = subprocess.run(
        [
            *(str(tools.ffmpeg), "-v", "error", "-decryption_key", key_hex),
            *("-i", f"file:{file}", "-f", "null", "-"),
        ],
        capture_output=True,
        check=False,
        timeout=60,
    )
    return told.returncode == 0 and not told.stderr


def run(args: list[object]) -> None:
    subprocess.run([str(arg) for arg in args], check=True, timeout=120, capture_output=True)


class ProcessWatch:
    """Every command line and environment that was seen."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self.stopped = threading.Event()

    def look(self) -> None:
        while not self.stopped.wait(0.002):
            for process in Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    try:
                        self.seen.add((process / name).read_bytes())
                    except OSError:
                        continue  # It ended meanwhile.


@contextmanager
def watching_processes() -> Iterator[ProcessWatch]:
    """Looks at all processes of the machine, over and over."""
    watch = ProcessWatch()
    thread = threading.Thread(target=watch.look)
    thread.start()
    try:
        yield watch
    finally:
        watch.stopped.set()
        thread.join()
