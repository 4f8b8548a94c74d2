"""The simulated player: a trace, a video and a policy make one session (Pensieve's rules).

Pensieve (Mao et al., "Neural Adaptive Video Streaming with Pensieve", SIGCOMM 2017) defined the
player and the score that most published work reports, so its rules are kept to the digit.
"""

from __future__ import annotations

import math
from typing import Final, Protocol

import msgspec
import numpy as np

from infra.bench.abr.trace import ROUND_TRIP_S, Floats, Trace, arrival_s
from infra.bench.abr.video import Video

BUFFER_S_MAX: Final = 60.0
SLEEP_S: Final = 0.5
"""A player with a full buffer looks again after so long."""
FIRST_RUNG: Final = 1


class Seen(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What a policy knows when it chooses the rung of chunk `chunk`."""

    video: Video
    chunk: int
    rungs: tuple[int, ...]
    """Of every chunk before, those on their way included."""
    sizes_bytes: Floats
    """Of every chunk that was reported; the next ones are on their way."""
    download_s: Floats
    """The same chunks' download times."""
    buffers_s: Floats
    """When each of these chunks was asked for, and when the one after them was."""
    asked_s: Floats
    """The times of these requests since the start; the last one may be now."""
    buffer_s_max: float

    @property
    def buffer_s(self) -> float:
        """When the chunk after the reported ones was asked for."""
        return float(self.buffers_s[-1])

    @property
    def last(self) -> int:
        """The rung before."""
        return self.rungs[-1]

    @property
    def flight(self) -> tuple[int, ...]:
        """The rungs of chunks asked for and not reported."""
        return self.rungs[len(self.sizes_bytes) :]


class Policy(Protocol):
    """Chooses rungs; asked once for every chunk but the first."""

    def choose(self, seen: Seen) -> int:
        """The rung of the next chunk."""


class Session(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A session that was streamed, chunk by chunk."""

    rungs: list[int]
    sizes_bytes: list[float]
    download_s: list[float]
    stall_s: list[float]
    buffers_s: list[float]
    """When each chunk was asked for."""
    asked_s: list[float]
    """And at what time since the start."""


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """What a session was worth; all but `startup_s` leave the first chunk out."""

    trace: str
    qoe: float
    """Mean over chunks: Mbit/s less stalls less changes (QoE_lin)."""
    kbps: float
    rebuf_pct: float
    sw_min: float
    """Changes per minute of video."""
    dq: float
    """Mean change of quality between neighbors, Mbit/s."""
    startup_s: float


def stream(
    trace: Trace, video: Video, policy: Policy, *, buffer_s_max: float = BUFFER_S_MAX
) -> Session:
    """One session, as `policy` chooses."""
    session = Session(rungs=[], sizes_bytes=[], download_s=[], stall_s=[], buffers_s=[], asked_s=[])
    flow_s = 0.0  # The trace's time, which round trips do not use up.
    clock_s = 0.0
    buffer_s = 0.0
    for chunk in range(video.chunks):
        session.buffers_s.append(buffer_s)
        session.asked_s.append(clock_s)
        rung = FIRST_RUNG
        if chunk > 0:
            rung = policy.choose(_seen(session, video, chunk, buffer_s_max))
        size_bytes = float(video.sizes_bytes[chunk, rung])
        arrived_s = arrival_s(trace.times_s, trace.received_bytes, flow_s, size_bytes)
        download_s = arrived_s - flow_s + ROUND_TRIP_S
        session.rungs.append(rung)
        session.sizes_bytes.append(size_bytes)
        session.download_s.append(download_s)
        session.stall_s.append(max(download_s - buffer_s, 0.0))
        buffer_s = max(buffer_s - download_s, 0.0) + video.chunk_s
        sleep_s = max(math.ceil((buffer_s - buffer_s_max) / SLEEP_S) * SLEEP_S, 0.0)
        buffer_s -= sleep_s
        flow_s = arrived_s + sleep_s
        clock_s += download_s + sleep_s
    return session


def score(name: str, session: Session, video: Video) -> Score:
    """What the session was worth; see Score."""
    quality = video.quality[session.rungs]
    changes = np.abs(np.diff(quality))
    stall_s = sum(session.stall_s[1:])
    media_s = video.chunks * video.chunk_s
    worth = quality[1:] - video.stall_cost * np.array(session.stall_s[1:]) - changes
    return Score(
        trace=name,
        qoe=float(worth.mean()),
        kbps=float(1000 * quality[1:].mean()),
        rebuf_pct=100 * stall_s / (stall_s + media_s),
        sw_min=60 * int(np.count_nonzero(changes)) / media_s,
        dq=float(changes.mean()),
        startup_s=session.download_s[0],
    )


def late(seen: Seen, chunks: int) -> Seen:
    """The same without the last `chunks` reports, the others rounded as CMCD (CTA-5004) has them.

    The first report is always there: nothing is known before.
    """
    reported = max(1, len(seen.sizes_bytes) - chunks)
    return msgspec.structs.replace(
        seen,
        sizes_bytes=seen.sizes_bytes[:reported],
        # `ttlb` in whole milliseconds, `bl` in hundreds of them.
        download_s=np.maximum(np.round(seen.download_s[:reported], 3), 0.001),
        buffers_s=np.round(seen.buffers_s[: reported + 1], 1),
        asked_s=seen.asked_s[: reported + 1],
    )


def _seen(session: Session, video: Video, chunk: int, buffer_s_max: float) -> Seen:
    return Seen(
        video=video,
        chunk=chunk,
        rungs=tuple(session.rungs),
        sizes_bytes=np.array(session.sizes_bytes),
        download_s=np.array(session.download_s),
        buffers_s=np.array(session.buffers_s),
        asked_s=np.array(session.asked_s),
        buffer_s_max=buffer_s_max,
    )
