"""Which arm a session belongs to, and what treats it."""

from __future__ import annotations

import math
import secrets
from collections import Counter
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.experiments import Experiment
from schemas.ids import uuid7
from streams.experiments import arms_of, draw, place_of, policy_of, stop, stop_arms
from tests.builders import NOW_MS
from tests.experiments import NAME, an_arm, an_experiment

SESSIONS = 20_000
randomness = st.binary(min_size=10, max_size=10)
salts = st.text("0123456789abcdef", min_size=16, max_size=64)


def a_session_id(at_ms: int = NOW_MS, random: bytes | None = None) -> str:
    return str(uuid7(at_ms, random or secrets.token_bytes(10)))


def known(experiment: Experiment) -> dict[str, Experiment]:
    return {experiment.name: experiment}


@given(salt=salts, random=randomness)
def test_a_session_stands_at_one_place_of_the_whole(salt: str, random: bytes) -> None:
    session = a_session_id(random=random)
    assert 0 <= place_of(salt, session) < 1
    assert place_of(salt, session) == place_of(salt, session)
    arm = draw(an_experiment(salt=salt), session)
    assert arm is not None
    assert arm.name == ("control" if place_of(salt, session) < 0.5 else "alone")


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.1), (0.2, 0.3, 0.1)])
def test_arms_get_their_shares_and_the_rest_takes_no_part(shares: tuple[float, ...]) -> None:
    arms = [an_arm(f"arm-{number}", "player", share) for number, share in enumerate(shares)]
    experiment = an_experiment(*arms)
    counts = Counter(
        None if (arm := draw(experiment, a_session_id())) is None else arm.name
        for _ in range(SESSIONS)
    )
    expected = {arm.name: arm.share for arm in arms} | {None: 1 - sum(shares)}
    for name, share in expected.items():
        deviation = math.sqrt(SESSIONS * share * max(0.0, 1 - share))
        assert abs(counts[name] - SESSIONS * share) <= 5 * deviation + 1e-6, (name, counts)


def test_the_arm_in_one_experiment_tells_nothing_of_that_in_another() -> None:
    sessions = [a_session_id() for _ in range(SESSIONS)]
    places = [[place_of(salt * 16, session) for session in sessions] for salt in ("a", "b")]
    both = sum(first < 0.5 and second < 0.5 for first, second in zip(*places, strict=True))
    assert abs(both - SESSIONS / 4) < 5 * math.sqrt(SESSIONS * 3 / 16)
    assert all(first != second for first, second in zip(*places, strict=True))


@given(random=randomness)
def test_who_was_opened_before_the_start_or_after_the_end_takes_no_part(random: bytes) -> None:
    experiment = stop(an_experiment(), NOW_MS + 1_000, "enough")
    for opened_at_ms, takes_part in ((-1, False), (0, True), (999, True), (1_000, False)):
        session = a_session_id(NOW_MS + opened_at_ms, random)
        assert (draw(experiment, session) is not None) is takes_part
        assert policy_of(known(experiment), "bitrate", session) is None, "it is stopped"
        assert bool(arms_of(known(experiment), session)) is takes_part, "what was, stays"


@given(random=randomness)
def test_a_stopped_arms_sessions_are_treated_as_the_controls_and_new_ones_are_the_controls(
    random: bytes,
) -> None:
    shares = [an_arm("control", "stochastic-mpc", 0.2), an_arm("alone", "player", 0.5)]
    experiment = an_experiment(*shares, an_arm("dark", "shadow", 0.3))
    stopped = stop_arms(experiment, {"alone": "it harms"}, NOW_MS + 1_000)
    assert stopped.stopped_at_ms is None, "the other arm goes on"
    before, after = a_session_id(NOW_MS, random), a_session_id(NOW_MS + 1_000, random)
    assert draw(stopped, before) == _renewed(draw(experiment, before), stopped)
    for session in (before, after):
        drawn = draw(experiment, session)
        assert drawn is not None
        was_stopped = drawn.name == "alone"
        policy = policy_of(known(stopped), "bitrate", session)
        assert policy == ("stochastic-mpc" if was_stopped else drawn.policy)
        if was_stopped and session == after:
            assert arms_of(known(stopped), session) == {NAME: "control"}


def _renewed(arm: object, experiment: Experiment) -> object:
    return next(each for each in experiment.arms if each.name == getattr(arm, "name", ""))


def test_an_experiment_without_an_arm_to_compare_stops() -> None:
    stopped = stop_arms(an_experiment(), {"alone": "it harms"}, NOW_MS + 1_000)
    assert (stopped.stopped_at_ms, stopped.at_ms) == (NOW_MS + 1_000, NOW_MS + 1_000)
    assert stopped.arms[1].stopped_reason == "it harms"
    again = stop_arms(stopped, {"alone": "again"}, NOW_MS + 2_000)
    assert again.arms == stopped.arms


@pytest.mark.parametrize("session", ["no-uuid", "5a4d2c1e-8b7f-4f3e-9a0b-1c2d3e4f5a6b", ""])
def test_a_session_of_unknown_time_takes_no_part(session: str) -> None:
    assert draw(an_experiment(), session) is None


def test_arms_are_sorted_by_experiment() -> None:
    names = ["b", "c", "a"]
    experiments = {name: an_experiment(name=name) for name in names}
    assert list(arms_of(experiments, a_session_id())) == sorted(names)
    assert all(first < second for first, second in pairwise(sorted(names)))


def test_an_experiment_of_another_subject_treats_nothing_here() -> None:
    other = msgspec.structs.replace(an_experiment(), subject="recommendation")
    assert policy_of(known(other), "bitrate", a_session_id()) is None
