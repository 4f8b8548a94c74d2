from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agents.bitrate.controller import Choice, Playing, decide
from agents.bitrate.identity import SeenSource, mark_seen
from agents.bitrate.observation import Observation
from agents.bitrate.population import Population
from agents.bitrate.state import SessionState, observe
from schemas.sessions import Session
from tests.builders import NOW_MS, a_session, a_title
from tests.unit.bitrate.playing import playing

TITLE = a_title()
POPULATION = Population()
KBPS = st.none() | st.integers(0, 100_000_000)

sessions = st.builds(
    a_session,
    max_height=st.sampled_from([240, 480, 719, 720, 1080, 2160]),
    max_bitrate_kbps=st.sampled_from([0, 428, 500, 2628, 3000, 100_000]),
    tiers=st.sampled_from([("audio", "sd"), ("audio", "sd", "hd")]),
)

observations = st.lists(
    st.builds(
        Observation,
        source=st.sampled_from(["player", "edge-a"]),
        sequence=st.integers(0, 80),
        at_ms=st.integers(NOW_MS, NOW_MS + 120_000),
        fetched=st.sampled_from(["", "v/1", "v/2", "v/3", "v/4", "v/5"]),
        transfer_kbps=KBPS,
        estimate_kbps=KBPS,
        buffer_length_ms=st.none() | st.integers(0, 120_000),
        is_starved=st.booleans(),
        playing_bitrate_kbps=KBPS,
        is_paused=st.none() | st.booleans(),
        is_seek=st.booleans(),
    ),
    max_size=40,
).map(lambda seen: sorted(seen, key=lambda each: each.at_ms))


def run(seen: list[Observation], played: Playing) -> tuple[SessionState, list[tuple[int, Choice]]]:
    state = SessionState()
    choices: list[tuple[int, Choice]] = []
    for each in seen:
        state = observe(state, each)
        state, choice = decide(state, played, each.at_ms, POPULATION)
        if choice is not None:
            choices.append((each.at_ms, choice))
    return state, choices


@given(sessions, observations)
def test_a_ceiling_is_a_rung_with_its_sound_within_every_limit(
    session: Session, seen: list[Observation]
) -> None:
    lowest_kbps = TITLE.video[0].bitrate_kbps + TITLE.audio[0].bitrate_kbps
    state, choices = run(seen, playing(TITLE, session))
    allowed = {
        rendition.bitrate_kbps + TITLE.audio[0].bitrate_kbps: rendition for rendition in TITLE.video
    }
    assert state.ceiling_kbps is None or state.ceiling_kbps in allowed
    for _, choice in choices:
        assert choice.ceiling_kbps is not None
        rendition = allowed[choice.ceiling_kbps]
        assert choice.ceiling_kbps >= lowest_kbps
        assert rendition.rendition_id == choice.rendition_id
        assert rendition.height <= session.max_height
        assert rendition.tier in session.tiers
        if session.max_bitrate_kbps:
            assert choice.ceiling_kbps <= session.max_bitrate_kbps


@given(sessions, observations)
def test_decisions_count_up_change_something_and_keep_their_distance(
    session: Session, seen: list[Observation]
) -> None:
    _, choices = run(seen, playing(TITLE, session))
    assert [choice.version for _, choice in choices] == list(range(1, len(choices) + 1))
    for (before_ms, before), (after_ms, after) in pairwise(choices):
        assert after.ceiling_kbps != before.ceiling_kbps
        assert after_ms - before_ms >= 2_000


@given(sessions, observations)
def test_the_same_observations_give_the_same_decisions(
    session: Session, seen: list[Observation]
) -> None:
    assert run(seen, playing(TITLE, session)) == run(seen, playing(TITLE, session))


@given(observations)
def test_an_observation_that_comes_twice_changes_nothing(seen: list[Observation]) -> None:
    state = SessionState()
    for each in seen:
        state = observe(state, each)
        assert observe(state, each) is state


@given(st.lists(st.integers(0, 300)))
def test_each_sequence_is_new_once(sequences: list[int]) -> None:
    seen: tuple[SeenSource, ...] = ()
    taken: list[int] = []
    for sequence in sequences:
        marked = mark_seen(seen, "s", sequence)
        if marked is not None:
            seen = marked
            taken.append(sequence)
    assert len(taken) == len(set(taken))
    newest = -1
    for sequence in sequences:
        if sequence > newest - 64:
            assert sequence in taken
        newest = max(newest, sequence)


@given(st.lists(st.text(min_size=1, max_size=3), max_size=40))
def test_few_sources_are_remembered(sources: list[str]) -> None:
    seen: tuple[SeenSource, ...] = ()
    for source in sources:
        seen = mark_seen(seen, source, 1) or seen
    assert len(seen) <= 8
