"""What a session may play now: a pure function of what was seen of it, its title and the time.

The plan is `stochastic.choose_rung`'s; here is what it is asked, and when it is not asked at all.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from agents.bitrate.ladder import Ladder
from agents.bitrate.memory import Circumstances
from agents.bitrate.population import Population
from agents.bitrate.rate import affordable_rung, clamped_kbps, robust_throughput_kbps
from agents.bitrate.state import FILLED_MS, SessionState, buffer_now_ms
from agents.bitrate.stochastic import HORIZON_CHUNKS, Request, choose_rung
from schemas.bitrate import BitrateFacts

Floats = npt.NDArray[np.float64]

DECISION_INTERVAL_MS: Final = 2_000
"""A session is thought about at most once in this time; the latest input wins."""
SAMPLES_MIN: Final = 2
"""Fewer are no signal: players start with an estimate out of the air."""
SAMPLE_AGE_MS_MAX: Final = 60_000
STARVED_MS: Final = 6_000
STARVED_SHARE: Final = 0.5
"""Of the throughput, after a player's buffer ran dry."""
RATE_SHARE: Final = 0.9
"""Of the throughput, where the buffer is unknown or there is no time to plan."""
CAREFUL_SLACK_S: Final = 1.0
"""Of players that fetch no more than their own estimate of the network carries. To them a ceiling
only takes away: in the simulator (`infra.bench.abr.compare --over`) one at the best rung made them
worse, one with this slack did not. dash.js ventures more, and gains by every ceiling."""
_CAREFUL_PLAYERS: Final = ("shaka", "hls")
BUFFER_MS_FULL: Final = 30_000
"""What a player's buffer holds at least, until it was seen to wait for room. A plan for more than
there is saves where nothing can be saved: in the simulator, on demanding networks, that took 0.15
of the QoE (Mbit/s) from dash.js with a buffer of 10 s. A plan for what it holds took nothing, and
0.4 % of the time was stalled instead of 0.9 %."""


class Playing(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What a session plays, and where."""

    ladder: Ladder
    sizes_bytes: Floats
    """Segments × rungs, picture and sound together (`sizes.py`)."""
    circumstances: Circumstances = Circumstances()
    slack_s: float = 0.0
    """As `stochastic.Request` has it."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A new ceiling; None: no longer any."""

    version: int
    ceiling_kbps: int | None
    rendition_id: str | None = None
    height: int | None = None
    reason: str
    facts: BitrateFacts


class _Target(msgspec.Struct, frozen=True, kw_only=True):
    """A rung, and what was thought of it."""

    rung: int
    throughput_kbps: int
    rule: str
    expected_qoe: float | None = None
    expected_stall_ms: int | None = None
    population_share: float = 0.0


def decide(
    state: SessionState,
    playing: Playing,
    now_ms: int,
    population: Population,
    *,
    is_behind: bool = False,
) -> tuple[SessionState, Choice | None]:
    """The state after deciding, and the new ceiling where there is one.

    A ceiling is always a value of the ladder; None is never returned to once there was a signal.
    `is_behind`: the caller has more to decide than time for it, so the cheaper rule is used.
    """
    if not is_due(state, now_ms):
        return state, None
    state = msgspec.structs.replace(state, planned_at_ms=now_ms, is_news=False)
    ladder = playing.ladder
    buffer_ms = buffer_now_ms(state, now_ms)
    if buffer_ms is None or is_behind or state.policy == "robust-rate":
        target = _by_rate(state, ladder, RATE_SHARE, "rate")
    else:
        target = _by_futures(state, playing, buffer_ms, population, now_ms)
    if _is_starved(state, buffer_ms, now_ms):
        careful = _by_rate(state, ladder, STARVED_SHARE, "starved")
        target = min(target, careful, key=lambda each: each.rung)
    if target.rung == ladder.index_of(state.ceiling_kbps):
        return state, None
    return _apply(state, ladder, target, now_ms)


def is_due(state: SessionState, now_ms: int) -> bool:
    """Whether there is a signal, and time for another thought about it."""
    has_signal = len(state.samples) >= SAMPLES_MIN and not _is_stale(state, now_ms)
    return has_signal and now_ms - _thought_of_at_ms(state) >= DECISION_INTERVAL_MS


def slack_of(player: str) -> float:
    """The slack for a player, by its name as the client wrote it, seconds."""
    name = player.lower()
    return CAREFUL_SLACK_S if any(each in name for each in _CAREFUL_PLAYERS) else 0.0


def wants_another_look(state: SessionState, now_ms: int) -> bool:
    """Whether something was seen since it was last thought about."""
    return state.is_news and now_ms - _thought_of_at_ms(state) <= 2 * DECISION_INTERVAL_MS


def request_of(state: SessionState, playing: Playing, buffer_ms: int, now_ms: int) -> Request:
    """What the plan is asked. The segment after the newest one is taken to be on its way, at the
    rung of that one, unless the buffer is full: a ceiling counts for the one after it.
    """
    ladder, sizes = playing.ladder, playing.sizes_bytes
    reported_bytes, reported_s = _reported(state, ladder)
    chunk_s = ladder.segment_ms / 1000
    last = _playing_rung(state, ladder)
    buffer_s_max = _buffer_ms_max(state) / 1000
    first = 0 if state.segment is None else state.segment + 1
    is_on_its_way = first < len(sizes) and buffer_ms / 1000 + chunk_s <= buffer_s_max
    flight = sizes[first : first + 1, last] if is_on_its_way else np.zeros(0)
    asked = min(first + len(flight), len(sizes) - 1)
    ahead = sizes[asked : asked + HORIZON_CHUNKS]
    return Request(
        reported_bytes=reported_bytes,
        reported_s=reported_s,
        flight_bytes=flight,
        sizes_bytes=ahead,
        quality=np.array([rung.bitrate_kbps / 1000 for rung in ladder.rungs]),
        last=last,
        buffer_s=buffer_ms / 1000,
        buffer_s_max=buffer_s_max,
        chunk_s=chunk_s,
        chunks_beyond=len(sizes) - asked - len(ahead),
        circumstances=playing.circumstances,
        slack_s=playing.slack_s,
        now_ms=now_ms,
    )


def _by_futures(
    state: SessionState, playing: Playing, buffer_ms: int, population: Population, now_ms: int
) -> _Target:
    plan = choose_rung(request_of(state, playing, buffer_ms, now_ms), population)
    return _Target(
        rung=plan.ceiling,
        throughput_kbps=plan.throughput_kbps,
        rule="futures",
        expected_qoe=round(plan.qoe, 3),
        expected_stall_ms=round(1000 * plan.stall_s),
        population_share=round(plan.population_share, 2),
    )


def _by_rate(state: SessionState, ladder: Ladder, share: float, rule: str) -> _Target:
    kbps = robust_throughput_kbps([sample.kbps for sample in state.samples], ladder)
    return _Target(
        rung=affordable_rung(ladder, share * kbps), throughput_kbps=round(kbps), rule=rule
    )


def _reported(state: SessionState, ladder: Ladder) -> tuple[Floats, Floats]:
    """Bytes and seconds of each sample; a player's estimate counts as a segment's download."""
    kbps = clamped_kbps([sample.kbps for sample in state.samples], ladder)
    whole = [max(sample.kbps, 1) * ladder.segment_ms / 8 for sample in state.samples]
    known = [sample.object_bytes for sample in state.samples]
    sizes = np.where(known, known, whole)
    return sizes, sizes * 8 / 1000 / kbps


def _playing_rung(state: SessionState, ladder: Ladder) -> int:
    """The rung whose rate is nearest to what is fetched; the ceiling's where that is unknown."""
    if state.playing_bitrate_kbps:
        rates = np.array([rung.bitrate_kbps for rung in ladder.rungs], float)
        return int(np.abs(np.log(rates / state.playing_bitrate_kbps)).argmin())
    ceiling = ladder.index_of(state.ceiling_kbps)
    if ceiling is not None:
        return ceiling
    kbps = robust_throughput_kbps([sample.kbps for sample in state.samples], ladder)
    return affordable_rung(ladder, kbps)


def _is_starved(state: SessionState, buffer_ms: int | None, now_ms: int) -> bool:
    """Whether the buffer ran dry a moment ago, and was not filled again since."""
    if state.starved_at_ms is None or now_ms - state.starved_at_ms > STARVED_MS:
        return False
    return buffer_ms is None or buffer_ms < FILLED_MS


def _buffer_ms_max(state: SessionState) -> int:
    if state.has_waited:
        return state.buffer_ms_max
    return max(state.buffer_ms_max, BUFFER_MS_FULL)


def _thought_of_at_ms(state: SessionState) -> int:
    """Here, or where its last ceiling was decided; 0: never."""
    return max(state.decided_at_ms or 0, state.planned_at_ms or 0)


def _is_stale(state: SessionState, now_ms: int) -> bool:
    return now_ms - state.samples[-1].at_ms > SAMPLE_AGE_MS_MAX


def _apply(
    state: SessionState, ladder: Ladder, target: _Target, now_ms: int
) -> tuple[SessionState, Choice]:
    rung = ladder.rungs[target.rung]
    choice = Choice(
        version=state.version + 1,
        ceiling_kbps=rung.ceiling_kbps,
        rendition_id=rung.rendition_id,
        height=rung.height,
        reason=_reason(state, ladder, target),
        facts=BitrateFacts(
            throughput_kbps=target.throughput_kbps,
            throughput_samples=len(state.samples),
            buffer_length_ms=buffer_now_ms(state, now_ms),
            playing_bitrate_kbps=state.playing_bitrate_kbps,
            max_height=ladder.max_height,
            plan_max_kbps=ladder.plan_max_kbps,
            ladder_kbps=ladder.ceilings_kbps,
            rule=target.rule,
            expected_qoe=target.expected_qoe,
            expected_stall_ms=target.expected_stall_ms,
            population_share=target.population_share,
        ),
    )
    decided = msgspec.structs.replace(
        state,
        version=choice.version,
        ceiling_kbps=choice.ceiling_kbps,
        decided_at_ms=now_ms,
        decided_throughput_kbps=target.throughput_kbps,
    )
    return decided, choice


def _reason(state: SessionState, ladder: Ladder, target: _Target) -> str:
    """A stable word: what moved the ceiling."""
    if state.ceiling_kbps is None:
        return "first-estimate"
    current = ladder.index_of(state.ceiling_kbps)
    if current is None:
        return "ladder-changed"
    if target.rung > current:
        is_faster = target.throughput_kbps > state.decided_throughput_kbps
        return "throughput-rose" if is_faster else "buffer-rose"
    is_slower = target.throughput_kbps < state.decided_throughput_kbps
    return "throughput-fell" if is_slower else "buffer-fell"
