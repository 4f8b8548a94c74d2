"""The downloads of one running session, as they are reported, until a population learns of them."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from agents.bitrate.memory import Circumstances
from agents.bitrate.population import Population

Floats = npt.NDArray[np.float64]

DOWNLOADS_MAX: Final = 128
"""Kept at once; a longer session is learned in parts."""
CONTEXT_MAX: Final = 40
"""Kept of what was learned: more than a situation looks back."""


class Tape(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was downloaded, newest last."""

    sizes_bytes: tuple[float, ...] = ()
    download_s: tuple[float, ...] = ()
    learned: int = 0
    """The first so many were learned before."""

    @property
    def is_full(self) -> bool:
        """Whether it is time to learn it."""
        return len(self.sizes_bytes) >= DOWNLOADS_MAX


def record(tape: Tape, size_bytes: float, download_s: float) -> Tape:
    """The tape with one more download; one that took no time or brought nothing tells nothing."""
    if size_bytes <= 0 or download_s <= 0:
        return tape
    return msgspec.structs.replace(
        tape,
        sizes_bytes=(*tape.sizes_bytes[-DOWNLOADS_MAX:], size_bytes),
        download_s=(*tape.download_s[-DOWNLOADS_MAX:], download_s),
    )


def learn_tape(
    population: Population, tape: Tape, circumstances: Circumstances, at_ms: int
) -> Tape:
    """Have the population learn what is new on the tape; returns the tape with what goes on.

    Called when the tape is full, and when its session ended or fell silent.
    """
    population.learn(
        np.array(tape.sizes_bytes),
        np.array(tape.download_s),
        circumstances=circumstances,
        at_ms=at_ms,
        learned=tape.learned,
    )
    return Tape(
        sizes_bytes=tape.sizes_bytes[-CONTEXT_MAX:],
        download_s=tape.download_s[-CONTEXT_MAX:],
        learned=min(CONTEXT_MAX, len(tape.sizes_bytes)),
    )
