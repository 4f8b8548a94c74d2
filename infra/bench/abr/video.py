"""A video as the simulator knows it: its ladder and the exact size of every chunk."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class _VideoFile(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    chunk_s: float
    n_chunks: int
    bitrates_kbps: list[float]
    sizes_bytes: list[list[float]]


class Video(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One video; rungs are ordered, lowest first."""

    name: str
    chunk_s: float
    bitrates_kbps: tuple[float, ...]
    sizes_bytes: Floats
    """Chunks × rungs."""

    @property
    def chunks(self) -> int:
        """How many are streamed."""
        return int(self.sizes_bytes.shape[0])

    @property
    def rungs(self) -> int:
        """Of the ladder."""
        return len(self.bitrates_kbps)

    @property
    def quality(self) -> Floats:
        """Of each rung: its nominal Mbit/s."""
        return np.array(self.bitrates_kbps) / 1000

    @property
    def stall_cost(self) -> float:
        """Of one second, in the unit of quality: the top rung's."""
        return self.bitrates_kbps[-1] / 1000


def read_video(path: Path) -> Video:
    """The video of a JSON file: bitrates_kbps, chunk_s, n_chunks and sizes_bytes[chunk][rung].

    Raises OSError, or msgspec.DecodeError where the file holds something else.
    """
    read = msgspec.json.decode(path.read_bytes(), type=_VideoFile)
    return Video(
        name=read.name,
        chunk_s=read.chunk_s,
        bitrates_kbps=tuple(read.bitrates_kbps),
        sizes_bytes=np.array(read.sizes_bytes[: read.n_chunks], dtype=np.float64),
    )
