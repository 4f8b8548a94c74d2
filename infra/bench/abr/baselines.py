"""Rules that players ship or papers compare with, written anew: rate, BBA, BOLA, DYNAMIC."""

from __future__ import annotations

from typing import Final

import numpy as np

from agents.bitrate.situation import estimate_rate
from infra.bench.abr.player import Seen
from infra.bench.abr.video import Video

RESERVOIR_S: Final = 5.0
CUSHION_S: Final = 10.0
BOLA_LOW_S: Final = 10.0
BOLA_FULL_S: Final = 30.0
THROUGHPUT_SHARE: Final = 0.9
"""Of the measured throughput that DYNAMIC's throughput rule spends."""


class Rate:
    """The highest rung below the harmonic mean of the last five throughputs."""

    def choose(self, seen: Seen) -> int:
        """The next rung."""
        return affordable_rung(seen.video, measured_kbps(seen))


class BufferBased:
    """BBA (Huang et al., SIGCOMM 2014): the rung follows the buffer from 5 s to 15 s."""

    def choose(self, seen: Seen) -> int:
        """The next rung."""
        top = seen.video.rungs - 1
        level = (seen.buffer_s - RESERVOIR_S) / CUSHION_S
        return min(max(int(top * level), 0), top)


class Bola:
    """BOLA (Spiteri et al., INFOCOM 2016): logarithmic utility against the buffer."""

    def choose(self, seen: Seen) -> int:
        """The next rung."""
        return bola_rung(seen.video, seen.buffer_s, BOLA_LOW_S, BOLA_FULL_S)


class Dynamic:
    """dash.js's DYNAMIC: BOLA while the buffer is above 10 s, throughput below.

    (Spiteri et al., "From Theory to Practice", MMSys 2018.) It keeps the rule that it is in until
    the other one is the bolder.
    """

    def __init__(self) -> None:
        self._is_bola = False

    def choose(self, seen: Seen) -> int:
        """The next rung."""
        if seen.chunk == 1:
            self._is_bola = False
        by_buffer = bola_rung(seen.video, seen.buffer_s, BOLA_LOW_S, BOLA_FULL_S)
        by_rate = affordable_rung(seen.video, THROUGHPUT_SHARE * measured_kbps(seen))
        if self._is_bola:
            self._is_bola = seen.buffer_s >= BOLA_LOW_S or by_buffer >= by_rate
        else:
            self._is_bola = seen.buffer_s > BOLA_LOW_S and by_buffer >= by_rate
        return by_buffer if self._is_bola else by_rate


def measured_kbps(seen: Seen) -> float:
    """Harmonic mean of the last five reported throughputs."""
    return 8 / 1000 * estimate_rate(seen.sizes_bytes / seen.download_s)


def affordable_rung(video: Video, kbps: float) -> int:
    """The highest rung whose nominal bitrate is not above; the lowest where none is."""
    return max((rung for rung, rate in enumerate(video.bitrates_kbps) if rate <= kbps), default=0)


def bola_rung(video: Video, buffer_s: float, low_s: float, full_s: float) -> int:
    """BOLA's choice: the lowest rung is right at `low_s`, the top one at `full_s` of buffer."""
    bitrates = np.array(video.bitrates_kbps)
    utility = np.log(bitrates / bitrates[0]) + 1
    gain = (utility[-1] - 1) / (full_s / low_s - 1)
    control = low_s / gain
    return int(np.argmax((control * (utility - 1 + gain) - buffer_s) / bitrates))
