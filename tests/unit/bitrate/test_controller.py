from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest

from agents.bitrate.controller import (
    DECISION_INTERVAL_MS,
    Choice,
    SessionState,
    decide,
    observe,
    resume,
    wants_another_look,
)
from agents.bitrate.ladder import Ladder, build_ladder
from agents.bitrate.observation import Observation
from schemas.bitrate import BitrateDecision, BitrateFacts
from tests.builders import NOW_MS, a_session, a_title

SEGMENT_MS = 4000


def a_ladder() -> Ladder:
    ladder = build_ladder(a_title(), a_session())
    assert ladder is not None
    return ladder


LADDER = a_ladder()


def transfer(number: int, kbps: int, *, buffer_ms: int | None = 12_000) -> Observation:
    """The player's report of segment `number`, one per segment length."""
    return Observation(
        source="player",
        sequence=number,
        at_ms=NOW_MS + number * SEGMENT_MS,
        fetched=f"v/{number}.m4s",
        transfer_kbps=kbps,
        buffer_length_ms=buffer_ms,
    )


def run(
    observations: Iterable[Observation], state: SessionState | None = None
) -> tuple[SessionState, list[Choice]]:
    """Decide at every observation, as the shell does; and once more after the hold."""
    state = state or SessionState()
    choices: list[Choice] = []
    for seen in observations:
        state = observe(state, seen)
        for later_ms in (0, 500, 3_500):
            state, choice = decide(state, LADDER, seen.at_ms + later_ms)
            if choice is not None:
                choices.append(choice)
    return state, choices


def test_no_ceiling_without_a_signal() -> None:
    state, choices = run([transfer(0, 50_000)])
    assert choices == []
    assert state.ceiling_kbps is None


def test_a_fast_network_gets_the_top_and_stays_there() -> None:
    _, choices = run(transfer(n, 20_000 + 7919 * (n % 3)) for n in range(30))
    assert [choice.height for choice in choices] == [1080]
    assert choices[0].reason == "first-estimate"


def test_a_throttled_edge_lowers_the_ceiling_at_the_first_report_and_it_recovers() -> None:
    fast = [transfer(n, 50_000) for n in range(6)]
    slow = [transfer(n, 700) for n in range(6, 14)]
    again = [transfer(n, 50_000) for n in range(14, 24)]
    state, _ = run(fast)
    state, choices = run(slow[:1], state)
    assert choices[0].height < 1080
    assert choices[0].reason == "throughput-fell"
    state, _ = run(slow[1:], state)
    assert state.ceiling_kbps == LADDER.ceilings_kbps[0]
    state, choices = run(again, state)
    assert state.ceiling_kbps == LADDER.ceilings_kbps[-1]
    assert {choice.reason for choice in choices} <= {"throughput-rose", "buffer-rose"}


def test_an_absurd_estimate_counts_as_plenty_and_not_more() -> None:
    absurd = [
        msgspec.structs.replace(
            transfer(n, 0), transfer_kbps=None, estimate_kbps=10**9 if n % 2 else 35_000
        )
        for n in range(8)
    ]
    _, choices = run(absurd)
    assert [choice.height for choice in choices] == [1080]
    throughput_kbps = choices[0].facts.throughput_kbps
    assert throughput_kbps is not None
    assert throughput_kbps <= 4 * LADDER.ceilings_kbps[-1]


def test_of_two_reports_of_one_transfer_the_slower_counts() -> None:
    edge = [
        msgspec.structs.replace(transfer(n, 90_000), source="edge", sequence=n) for n in range(6)
    ]
    player = [transfer(n, 400) for n in range(6)]
    state, _ = run(each for pair in zip(edge, player, strict=True) for each in pair)
    assert {sample.kbps for sample in state.samples} == {400}
    assert state.ceiling_kbps == LADDER.ceilings_kbps[0]


def test_measured_transfers_replace_what_the_player_guesses() -> None:
    guess = msgspec.structs.replace(transfer(0, 0), transfer_kbps=None, estimate_kbps=500)
    late_guess = msgspec.structs.replace(
        transfer(2, 0), transfer_kbps=None, estimate_kbps=500, fetched=""
    )
    state, _ = run([guess, transfer(1, 9000), late_guess])
    assert [sample.kbps for sample in state.samples] == [9000]


def test_an_estimate_that_never_changed_is_no_signal() -> None:
    """hls.js reports 500 kbps until it has measured something."""
    estimates = [500, 500, 500, 1700, 5000, 9000, 9000, 9000, 9000, 9000]
    state = SessionState()
    for n, estimate_kbps in enumerate(estimates):
        seen = msgspec.structs.replace(transfer(n, 0), transfer_kbps=None)
        state, choices = run([msgspec.structs.replace(seen, estimate_kbps=estimate_kbps)], state)
        if n < 4:
            assert choices == []
    assert state.ceiling_kbps == LADDER.ceilings_kbps[-1]


def test_an_empty_buffer_that_starved_holds_the_ceiling_down() -> None:
    state, _ = run(transfer(n, 6500) for n in range(8))
    assert state.ceiling_kbps == LADDER.ceilings_kbps[-1]
    starved = msgspec.structs.replace(transfer(8, 6500, buffer_ms=0), is_starved=True)
    state, choices = run([starved], state)
    assert choices[0].height == 720


def test_decisions_are_two_seconds_apart_and_the_latest_wins() -> None:
    state, choices = run(transfer(n, 50_000) for n in range(2))
    decided_at_ms = state.decided_at_ms
    assert decided_at_ms is not None
    for n in range(2, 5):
        state = observe(state, msgspec.structs.replace(transfer(n, 300), at_ms=decided_at_ms + n))
    state, choice = decide(state, LADDER, decided_at_ms + DECISION_INTERVAL_MS - 1)
    assert choice is None
    assert wants_another_look(state, decided_at_ms + DECISION_INTERVAL_MS - 1)
    state, choice = decide(state, LADDER, decided_at_ms + DECISION_INTERVAL_MS)
    assert choice is not None
    assert choice.ceiling_kbps == LADDER.ceilings_kbps[0]
    assert choice.version == choices[-1].version + 1


def test_old_samples_decide_nothing() -> None:
    state = SessionState()
    for n in range(4):
        state = observe(state, transfer(n, 400))
    state, choice = decide(state, LADDER, NOW_MS + 10 * 60_000)
    assert choice is None


def test_a_restart_goes_on_with_version_and_ceiling() -> None:
    last = BitrateDecision(
        session_id="s",
        version=7,
        ceiling_kbps=LADDER.ceilings_kbps[1],
        reason="throughput-fell",
        facts=BitrateFacts(throughput_kbps=1500),
        policy_version="1",
        decided_at_ms=NOW_MS - 60_000,
    )
    state = resume(SessionState(), last)
    state, choices = run((transfer(n, 400) for n in range(4)), state)
    assert [choice.version for choice in choices] == [8]
    assert resume(state, last) is state


@pytest.mark.parametrize("max_height", [240, 480, 720])
def test_facts_name_the_limits(max_height: int) -> None:
    ladder = build_ladder(a_title(), a_session(max_height=max_height, max_bitrate_kbps=4000))
    assert ladder is not None
    state = SessionState()
    for n in range(3):
        state = observe(state, transfer(n, 50_000))
    _, choice = decide(state, ladder, NOW_MS + 3 * SEGMENT_MS)
    assert choice is not None
    assert choice.height == max_height
    assert choice.facts.max_height == max_height
    assert choice.facts.plan_max_kbps == 4000
