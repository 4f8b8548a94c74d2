"""What was seen and decided of one session: pure, from one report to the next."""

from __future__ import annotations

from typing import Final

import msgspec

from agents.bitrate.identity import SeenSource, mark_seen
from agents.bitrate.observation import Observation
from schemas.bitrate import BitrateDecision, BitratePolicy

SAMPLES_MAX: Final = 32
"""What a situation is told by (`situation.py`): the errors of the last twenty estimates, and
whether the session is young."""
FILLED_MS: Final = 4_000
"""A buffer that never held as much is being filled: dash.js calls that starved, too."""
WAITING_SAMPLES: Final = 4
WAITING_SHARE: Final = 0.6
"""Of the time in which they were fetched: who has room for more fetches all the time."""
FULL_SHARE: Final = 0.8
"""Of the fullest buffer: a segment less is full, too."""
TRANSFER_AGE_MS_MAX: Final = 30_000
"""How long measured transfers keep the player's own estimate out."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement of the throughput."""

    fetched: str
    kbps: int
    at_ms: int
    object_bytes: int = 0
    """0: not known, it is a player's estimate."""


class SessionState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known and decided of one session."""

    samples: tuple[Sample, ...] = ()
    """Newest last."""
    transfer_at_ms: int | None = None
    first_estimate_kbps: int | None = None
    is_estimate_measured: bool = False
    """A player starts with an estimate out of the air (hls.js: 500): only a changed one counts."""
    buffer_length_ms: int | None = None
    buffer_at_ms: int = 0
    is_paused: bool = False
    starved_at_ms: int | None = None
    playing_bitrate_kbps: int | None = None
    segment: int | None = None
    """The newest that was fetched; None: not known, as after a seek."""
    buffer_ms_max: int = 0
    """The fullest that the buffer ever was."""
    has_waited: bool = False
    """The player was seen to fetch nothing for a while with a full buffer: it holds no more."""
    seen: tuple[SeenSource, ...] = ()
    last_seen_ms: int = 0
    version: int = 0
    policy: BitratePolicy = "stochastic-mpc"
    """Whose the ceiling is."""
    ceiling_kbps: int | None = None
    """As decided, told to the player or not."""
    decided_at_ms: int | None = None
    planned_at_ms: int | None = None
    """When it was last thought about, whatever came of it."""
    is_news: bool = False
    """Something was seen since."""
    decided_throughput_kbps: int = 0


def observe(state: SessionState, seen: Observation) -> SessionState:
    """The state with the observation in it; the same state where it was in it before."""
    marks = mark_seen(state.seen, seen.source, seen.sequence)
    if marks is None:
        return state
    state = msgspec.structs.replace(
        state, seen=marks, last_seen_ms=max(state.last_seen_ms, seen.at_ms), is_news=True
    )
    state = _observe_throughput(_observe_buffer(state, seen), seen)
    if state.has_waited or not _waits(state):
        return state
    return msgspec.structs.replace(state, has_waited=True)


def resume(state: SessionState, last: BitrateDecision | None) -> SessionState:
    """The state after a restart, or where another worker decided meanwhile: its ceiling counts."""
    if last is None or last.version <= state.version:
        return state
    return msgspec.structs.replace(
        state,
        version=last.version,
        policy=last.policy,
        ceiling_kbps=last.ceiling_kbps if last.policy != "shadow" else last.shadow_ceiling_kbps,
        decided_at_ms=last.decided_at_ms,
        decided_throughput_kbps=last.facts.throughput_kbps or 0,
    )


def buffer_now_ms(state: SessionState, now_ms: int) -> int | None:
    """The buffer run forward from its last report, as if nothing had arrived since."""
    if state.buffer_length_ms is None:
        return None
    elapsed_ms = 0 if state.is_paused else max(0, now_ms - state.buffer_at_ms)
    return max(0, state.buffer_length_ms - elapsed_ms)


def _observe_buffer(state: SessionState, seen: Observation) -> SessionState:
    changes: dict[str, object] = {}
    if seen.is_seek:
        changes |= {"buffer_length_ms": None, "segment": None}
    if seen.segment is not None:
        changes["segment"] = seen.segment
    if seen.buffer_length_ms is not None:
        changes |= {
            "buffer_length_ms": seen.buffer_length_ms,
            "buffer_at_ms": seen.at_ms,
            "buffer_ms_max": max(state.buffer_ms_max, seen.buffer_length_ms),
        }
    if seen.is_paused is not None:
        changes["is_paused"] = seen.is_paused
    if seen.is_starved and state.buffer_ms_max >= FILLED_MS:
        changes["starved_at_ms"] = seen.at_ms
    if seen.playing_bitrate_kbps is not None:
        changes["playing_bitrate_kbps"] = seen.playing_bitrate_kbps
    return msgspec.structs.replace(state, **changes)


def _waits(state: SessionState) -> bool:
    """Whether the newest transfers took far less time than passed, and the buffer is full.

    Reports come up to half a second late, and one may be missing: so it takes several of them.
    """
    newest = state.samples[-1 - WAITING_SAMPLES :]
    fullest_ms = state.buffer_ms_max
    if len(newest) <= WAITING_SAMPLES or (state.buffer_length_ms or 0) < FULL_SHARE * fullest_ms:
        return False
    if not fullest_ms or not all(sample.object_bytes for sample in newest):
        return False
    taken_ms = sum(sample.object_bytes * 8 / max(1, sample.kbps) for sample in newest[1:])
    return taken_ms < WAITING_SHARE * (newest[-1].at_ms - newest[0].at_ms)


def _observe_throughput(state: SessionState, seen: Observation) -> SessionState:
    if seen.transfer_kbps is not None:
        # The first transfer ends what the player guessed before.
        samples = () if state.transfer_at_ms is None else state.samples
        return msgspec.structs.replace(
            state,
            samples=_add_sample(samples, seen, seen.transfer_kbps),
            transfer_at_ms=seen.at_ms,
        )
    if seen.estimate_kbps is None or _is_guess(state, seen.estimate_kbps):
        first_kbps = state.first_estimate_kbps or seen.estimate_kbps
        return msgspec.structs.replace(state, first_estimate_kbps=first_kbps)
    state = msgspec.structs.replace(state, is_estimate_measured=True)
    if (
        state.transfer_at_ms is not None
        and seen.at_ms - state.transfer_at_ms <= TRANSFER_AGE_MS_MAX
    ):
        return state
    return msgspec.structs.replace(
        state, samples=_add_sample(state.samples, seen, seen.estimate_kbps)
    )


def _is_guess(state: SessionState, estimate_kbps: int) -> bool:
    return not state.is_estimate_measured and state.first_estimate_kbps in {None, estimate_kbps}


def _add_sample(samples: tuple[Sample, ...], seen: Observation, kbps: int) -> tuple[Sample, ...]:
    """The sample added; where player and edge tell of the same transfer the slower one counts.

    (An edge hands a segment to its kernel faster than the viewer's last mile takes it.)
    """
    for index, sample in enumerate(samples):
        if seen.fetched and sample.fetched == seen.fetched:
            slower = msgspec.structs.replace(sample, kbps=min(sample.kbps, kbps))
            return (*samples[:index], slower, *samples[index + 1 :])
    added = Sample(
        fetched=seen.fetched, kbps=kbps, at_ms=seen.at_ms, object_bytes=seen.transfer_bytes or 0
    )
    return (*samples[1 - SAMPLES_MAX :], added)
