"""What a session may play now: a pure function of what was seen of it, its ladder and the time.

The seam for another policy is `SessionState`, `observe`, `decide` and `resume`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from agents.bitrate.identity import SeenSource, mark_seen
from agents.bitrate.ladder import Ladder
from agents.bitrate.observation import Observation
from agents.bitrate.plan import (
    ESTIMATE_SAMPLES,
    affordable_rung,
    plan_rung,
    robust_throughput_kbps,
)
from schemas.bitrate import BitrateDecision, BitrateFacts

POLICY_VERSION: Final = "robust-mpc-1"

DECISION_INTERVAL_MS: Final = 2_000
"""At most one decision per session in this time; the latest wins."""
RISE_HOLD_MS: Final = 3_000
"""A higher rung must be the choice for so long; a lower one acts at once."""
SAMPLES_MIN: Final = 2
"""Fewer are no signal: players start with an estimate out of the air."""
SAMPLE_AGE_MS_MAX: Final = 60_000
TRANSFER_AGE_MS_MAX: Final = 30_000
"""How long measured transfers keep the player's own estimate out."""
STARVED_MS: Final = 6_000
STARVED_SHARE: Final = 0.5
"""Of the throughput, after a player's buffer ran dry."""
RATE_SHARE: Final = 0.9
"""Of the throughput, where the buffer is unknown."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement of the throughput."""

    fetched: str
    kbps: int
    at_ms: int


class SessionState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known and decided of one session."""

    samples: tuple[Sample, ...] = ()
    """Newest last; twice what the estimate spans, so that its past errors are known."""
    transfer_at_ms: int | None = None
    first_estimate_kbps: int | None = None
    is_estimate_measured: bool = False
    """A player starts with an estimate out of the air (hls.js: 500): only a changed one counts."""
    buffer_length_ms: int | None = None
    buffer_at_ms: int = 0
    is_paused: bool = False
    starved_at_ms: int | None = None
    playing_bitrate_kbps: int | None = None
    seen: tuple[SeenSource, ...] = ()
    last_seen_ms: int = 0
    version: int = 0
    ceiling_kbps: int | None = None
    decided_at_ms: int | None = None
    decided_throughput_kbps: int = 0
    rising_since_ms: int | None = None


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A new ceiling."""

    version: int
    ceiling_kbps: int
    rendition_id: str
    height: int
    reason: str
    facts: BitrateFacts


def observe(state: SessionState, seen: Observation) -> SessionState:
    """The state with the observation in it; the same state where it was in it before."""
    marks = mark_seen(state.seen, seen.source, seen.sequence)
    if marks is None:
        return state
    state = msgspec.structs.replace(
        state, seen=marks, last_seen_ms=max(state.last_seen_ms, seen.at_ms)
    )
    state = _observe_buffer(state, seen)
    return _observe_throughput(state, seen)


def decide(state: SessionState, ladder: Ladder, now_ms: int) -> tuple[SessionState, Choice | None]:
    """The state after deciding, and the new ceiling where there is one.

    A ceiling is always a value of the ladder; None is never returned to once there was a signal.
    """
    if len(state.samples) < SAMPLES_MIN or _is_stale(state, now_ms):
        return state, None
    if state.decided_at_ms is not None and now_ms - state.decided_at_ms < DECISION_INTERVAL_MS:
        return state, None
    throughput_kbps = robust_throughput_kbps([sample.kbps for sample in state.samples], ladder)
    target = _target_rung(state, ladder, throughput_kbps, now_ms)
    current = ladder.index_of(state.ceiling_kbps)
    if current is not None and target == current:
        return msgspec.structs.replace(state, rising_since_ms=None), None
    if current is not None and target > current:
        since_ms = now_ms if state.rising_since_ms is None else state.rising_since_ms
        if now_ms - since_ms < RISE_HOLD_MS:
            return msgspec.structs.replace(state, rising_since_ms=since_ms), None
    return _apply(state, ladder, target, round(throughput_kbps), now_ms)


def resume(state: SessionState, last: BitrateDecision | None) -> SessionState:
    """The state after a restart, or where another worker decided meanwhile: its ceiling counts."""
    if last is None or last.version <= state.version:
        return state
    return msgspec.structs.replace(
        state,
        version=last.version,
        ceiling_kbps=last.ceiling_kbps,
        decided_at_ms=last.decided_at_ms,
        decided_throughput_kbps=last.facts.throughput_kbps or 0,
        rising_since_ms=None,
    )


def wants_another_look(state: SessionState, now_ms: int) -> bool:
    """Whether time alone may change the decision soon: it was held back a moment ago."""
    if state.rising_since_ms is not None:
        return now_ms - state.rising_since_ms <= 2 * RISE_HOLD_MS
    return (
        state.decided_at_ms is not None
        and bool(state.samples)
        and state.last_seen_ms >= state.decided_at_ms
        and now_ms - state.decided_at_ms <= 2 * DECISION_INTERVAL_MS
    )


def _observe_buffer(state: SessionState, seen: Observation) -> SessionState:
    changes: dict[str, object] = {}
    if seen.is_seek:
        changes["buffer_length_ms"] = None
    if seen.buffer_length_ms is not None:
        changes |= {"buffer_length_ms": seen.buffer_length_ms, "buffer_at_ms": seen.at_ms}
    if seen.is_paused is not None:
        changes["is_paused"] = seen.is_paused
    if seen.is_starved:
        changes["starved_at_ms"] = seen.at_ms
    if seen.playing_bitrate_kbps is not None:
        changes["playing_bitrate_kbps"] = seen.playing_bitrate_kbps
    return msgspec.structs.replace(state, **changes)


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
    added = Sample(fetched=seen.fetched, kbps=kbps, at_ms=seen.at_ms)
    return (*samples[1 - 2 * ESTIMATE_SAMPLES :], added)


def _is_stale(state: SessionState, now_ms: int) -> bool:
    return now_ms - state.samples[-1].at_ms > SAMPLE_AGE_MS_MAX


def _target_rung(state: SessionState, ladder: Ladder, throughput_kbps: float, now_ms: int) -> int:
    buffer_ms = _buffer_now_ms(state, now_ms)
    if buffer_ms is None:
        target = affordable_rung(ladder, RATE_SHARE * throughput_kbps)
    else:
        last = ladder.index_of(state.ceiling_kbps)
        if last is None:
            last = affordable_rung(ladder, throughput_kbps)
        target = plan_rung(ladder, throughput_kbps, buffer_ms, last)
    if state.starved_at_ms is not None and now_ms - state.starved_at_ms <= STARVED_MS:
        target = min(target, affordable_rung(ladder, STARVED_SHARE * throughput_kbps))
    return target


def _buffer_now_ms(state: SessionState, now_ms: int) -> int | None:
    """The buffer run forward from its last report, as if nothing had arrived since."""
    if state.buffer_length_ms is None:
        return None
    elapsed_ms = 0 if state.is_paused else max(0, now_ms - state.buffer_at_ms)
    return max(0, state.buffer_length_ms - elapsed_ms)


def _apply(
    state: SessionState, ladder: Ladder, target: int, throughput_kbps: int, now_ms: int
) -> tuple[SessionState, Choice]:
    rung = ladder.rungs[target]
    choice = Choice(
        version=state.version + 1,
        ceiling_kbps=rung.ceiling_kbps,
        rendition_id=rung.rendition_id,
        height=rung.height,
        reason=_reason(state, ladder, target, throughput_kbps),
        facts=BitrateFacts(
            throughput_kbps=throughput_kbps,
            throughput_samples=len(state.samples),
            buffer_length_ms=_buffer_now_ms(state, now_ms),
            playing_bitrate_kbps=state.playing_bitrate_kbps,
            max_height=ladder.max_height,
            plan_max_kbps=ladder.plan_max_kbps,
            ladder_kbps=ladder.ceilings_kbps,
        ),
    )
    decided = msgspec.structs.replace(
        state,
        version=choice.version,
        ceiling_kbps=choice.ceiling_kbps,
        decided_at_ms=now_ms,
        decided_throughput_kbps=throughput_kbps,
        rising_since_ms=None,
    )
    return decided, choice


def _reason(state: SessionState, ladder: Ladder, target: int, throughput_kbps: int) -> str:
    """A stable word: what moved the ceiling."""
    if state.ceiling_kbps is None:
        return "first-estimate"
    current = ladder.index_of(state.ceiling_kbps)
    if current is None:
        return "ladder-changed"
    if target > current:
        is_faster = throughput_kbps > state.decided_throughput_kbps
        return "throughput-rose" if is_faster else "buffer-rose"
    is_slower = throughput_kbps < state.decided_throughput_kbps
    return "throughput-fell" if is_slower else "buffer-fell"
