from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest

from agents.bitrate.controller import (
    DECISION_INTERVAL_MS,
    Choice,
    decide,
    request_of,
    slack_of,
    wants_another_look,
)
from agents.bitrate.observation import Observation
from agents.bitrate.population import Population
from agents.bitrate.state import SessionState, observe, resume
from schemas.bitrate import BitrateDecision, BitrateFacts
from schemas.catalog import Rendition
from tests.builders import NOW_MS, a_session, a_title
from tests.unit.bitrate.playing import playing

SEGMENT_MS = 4000


def long(rendition: Rendition) -> Rendition:
    """The same, ten minutes of it."""
    segments = rendition.segments
    times = 600_000 // SEGMENT_MS // len(segments.durations)
    longer = msgspec.structs.replace(
        segments, durations=segments.durations * times, sizes_bytes=segments.sizes_bytes * times
    )
    return msgspec.structs.replace(rendition, segments=longer)


LONG = playing(a_title(video=tuple(long(each) for each in a_title().video)))
LADDER = LONG.ladder
NOBODY = Population()


def transfer(number: int, kbps: int, *, buffer_ms: int | None = 12_000) -> Observation:
    """The player's report of segment `number`, one per segment length."""
    return Observation(
        source="player",
        sequence=number,
        at_ms=NOW_MS + number * SEGMENT_MS,
        fetched=f"v/{number}.m4s",
        transfer_kbps=kbps,
        transfer_bytes=kbps * SEGMENT_MS // 8,
        segment=number,
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
            state, choice = decide(state, LONG, seen.at_ms + later_ms, NOBODY)
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
    assert choices[0].height is not None
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


def test_a_buffer_that_was_never_full_did_not_starve() -> None:
    seen = [transfer(number, 6500, buffer_ms=2_000) for number in range(3)]
    starved = msgspec.structs.replace(transfer(3, 6500, buffer_ms=2_000), is_starved=True)
    _, choices = run([*seen, starved])
    assert {choice.facts.rule for choice in choices} == {"futures"}


def test_who_starved_and_is_filled_again_is_held_down_no_more() -> None:
    state, _ = run(transfer(number, 6500) for number in range(8))
    starved = msgspec.structs.replace(transfer(8, 6500, buffer_ms=0), is_starved=True)
    state, _ = run([starved], state)
    held = state.ceiling_kbps
    _, choices = run([transfer(9, 6500, buffer_ms=8_000)], state)
    assert held is not None
    assert choices[-1].facts.rule == "futures"
    assert (choices[-1].ceiling_kbps or 0) > held


def test_decisions_are_two_seconds_apart_and_the_latest_wins() -> None:
    state, choices = run(transfer(n, 50_000) for n in range(2))
    planned_at_ms = state.planned_at_ms
    assert planned_at_ms is not None
    for n in range(2, 5):
        state = observe(state, msgspec.structs.replace(transfer(n, 300), at_ms=planned_at_ms + n))
    state, choice = decide(state, LONG, planned_at_ms + DECISION_INTERVAL_MS - 1, NOBODY)
    assert choice is None
    assert wants_another_look(state, planned_at_ms + DECISION_INTERVAL_MS - 1)
    state, choice = decide(state, LONG, planned_at_ms + DECISION_INTERVAL_MS, NOBODY)
    assert choice is not None
    assert choice.ceiling_kbps == LADDER.ceilings_kbps[0]
    assert choice.version == choices[-1].version + 1


def test_old_samples_decide_nothing() -> None:
    state = SessionState()
    for n in range(4):
        state = observe(state, transfer(n, 400))
    state, choice = decide(state, LONG, NOW_MS + 10 * 60_000, NOBODY)
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


def test_a_session_that_moved_a_moment_after_its_decision_is_looked_at_again() -> None:
    """Another worker decided, and all that was seen here came within two seconds of it."""
    last = BitrateDecision(
        session_id="s",
        version=7,
        ceiling_kbps=LADDER.ceilings_kbps[-1],
        reason="throughput-rose",
        facts=BitrateFacts(throughput_kbps=50_000),
        policy_version="1",
        decided_at_ms=NOW_MS + 4 * SEGMENT_MS - 100,
    )
    state = SessionState()
    for n in range(4):
        state = observe(state, transfer(n, 300))
    now_ms = NOW_MS + 4 * SEGMENT_MS
    state, choice = decide(resume(state, last), LONG, now_ms, NOBODY)
    assert choice is None
    assert wants_another_look(state, now_ms)
    _, choice = decide(state, LONG, now_ms + DECISION_INTERVAL_MS, NOBODY)
    assert choice is not None
    assert choice.ceiling_kbps == LADDER.ceilings_kbps[0]


@pytest.mark.parametrize("max_height", [240, 480, 720])
def test_facts_name_the_limits(max_height: int) -> None:
    played = playing(session=a_session(max_height=max_height, max_bitrate_kbps=4000))
    state = SessionState()
    for n in range(3):
        state = observe(state, transfer(n, 50_000))
    _, choice = decide(state, played, NOW_MS + 3 * SEGMENT_MS, NOBODY)
    assert choice is not None
    assert choice.height == max_height
    assert choice.facts.max_height == max_height
    assert choice.facts.plan_max_kbps == 4000


def test_a_decision_says_what_is_expected_of_it() -> None:
    _, choices = run(transfer(n, 3_000) for n in range(6))
    facts = choices[-1].facts
    assert facts.rule == "futures"
    assert facts.expected_qoe is not None
    assert facts.expected_stall_ms is not None


def test_who_is_behind_decides_by_the_cheaper_rule() -> None:
    state = SessionState()
    for n in range(4):
        state = observe(state, transfer(n, 3_000))
    now_ms = NOW_MS + 4 * SEGMENT_MS
    _, choice = decide(state, LONG, now_ms, NOBODY, is_behind=True)
    assert choice is not None
    assert (choice.facts.rule, choice.height) == ("rate", 720)
    assert choice.facts.expected_qoe is None


@pytest.mark.parametrize("segment", [None, 0, 13, 14, 15, 4_000])
def test_the_end_of_a_title_and_beyond_it_can_be_planned(segment: int | None) -> None:
    """A minute of fifteen segments."""
    state = SessionState()
    for n in range(4):
        seen = msgspec.structs.replace(transfer(n, 50_000), segment=segment)
        state = observe(state, seen)
    _, choice = decide(state, playing(), NOW_MS + 4 * SEGMENT_MS, NOBODY)
    assert choice is not None
    assert choice.height == 1080


def test_a_segment_on_its_way_is_settled_and_the_next_one_is_asked_for() -> None:
    state = SessionState()
    for n in range(4):
        seen = msgspec.structs.replace(transfer(n, 3_000), playing_bitrate_kbps=1_000)
        state = observe(state, seen)
    request = request_of(state, LONG, 12_000, NOW_MS)
    assert list(request.flight_bytes) == [LONG.sizes_bytes[4, 1]]
    assert (request.sizes_bytes[0] == LONG.sizes_bytes[5]).all()
    full = request_of(state, LONG, 29_000, NOW_MS)
    assert len(full.flight_bytes) == 0
    assert (full.sizes_bytes[0] == LONG.sizes_bytes[4]).all()
    assert list(request.reported_s) == [4.0] * 4


@pytest.mark.parametrize(("kbps", "holds_s"), [(20_000, 12.0), (1_100, 30.0)])
def test_a_player_that_waits_with_a_full_buffer_holds_no_more(kbps: int, holds_s: float) -> None:
    """A rung of 1,000 kbit/s leaves it nearly all the time to wait, or none."""
    state = SessionState()
    for number in range(8):
        fetched = transfer(number, kbps, buffer_ms=min(12_000, 3_000 * (number + 1)))
        seen = msgspec.structs.replace(fetched, transfer_bytes=1_000 * SEGMENT_MS // 8)
        state = observe(state, seen)
    assert request_of(state, LONG, 12_000, state.last_seen_ms).buffer_s_max == holds_s
    fuller = observe(state, transfer(8, kbps, buffer_ms=45_000))
    assert request_of(fuller, LONG, 12_000, fuller.last_seen_ms).buffer_s_max == 45.0


def test_a_buffer_that_drains_says_nothing_of_what_it_holds() -> None:
    state = SessionState()
    for number in range(8):
        seen = transfer(number, 20_000, buffer_ms=12_000 - 3_000 * min(number, 3))
        state = observe(state, msgspec.structs.replace(seen, transfer_bytes=500_000))
    assert not state.has_waited


@pytest.mark.parametrize(
    ("player", "slack_s"),
    [("Shaka Player", 1.0), ("hls.js 1.6", 1.0), ("dash.js", 0.0), ("an app", 0.0), ("", 0.0)],
)
def test_careful_players_have_slack(player: str, slack_s: float) -> None:
    assert slack_of(player) == slack_s
