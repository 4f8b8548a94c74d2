"""Bounds that hold at every look, and arms that are stopped for good reason only."""

from __future__ import annotations

from statistics import fmean

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.analytics.comparison import SESSIONS_MIN, Bounds, Measured, compare
from agents.analytics.judge import harmful
from streams.experiments import stop_arms
from tests.builders import NOW_MS
from tests.experiments import an_arm, an_experiment

ALPHA = 0.05
EXPERIMENTS = 1_000
SESSIONS = 4_000
LOOKS = 150
Floats = npt.NDArray[np.float64]
counts = st.integers(SESSIONS_MIN, 100_000)
means = st.floats(-10, 10)
variances = st.floats(0.01, 100)
measured = st.builds(Measured, count=counts, mean=means, variance=variances)


def sessions(random: np.random.Generator, arm_of: Floats, harm: float) -> Floats:
    """QoE as it is: most sessions at some rung, some that waited, some that never started."""
    rungs = random.choice([0.3, 1.0, 2.5, 5.0], len(arm_of), p=[0.1, 0.2, 0.3, 0.4])
    waited = np.where(random.random(len(arm_of)) < 0.2, random.beta(1, 8, len(arm_of)), 0)
    qoe = rungs * (1 - waited) - 4.3 * waited
    return np.where(random.random(len(arm_of)) < 0.02, -4.3, qoe) - harm * arm_of


def looks(random: np.random.Generator, harm: float, share: float = 0.5) -> list[Bounds]:
    """The bounds at each look at one experiment, as its sessions end."""
    arm_of = (random.random(SESSIONS) < share).astype(float)
    qoe = sessions(random, arm_of, harm)
    found = []
    for until in np.unique(np.geomspace(200, SESSIONS, LOOKS).astype(int)):
        parts = [qoe[:until][arm_of[:until] == arm] for arm in (1, 0)]
        arm, control = (
            Measured(count=len(part), mean=part.mean(), variance=part.var(ddof=1)) for part in parts
        )
        bounds = compare(arm, control, ALPHA)
        if bounds is not None:
            found.append(bounds)
    return found


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_an_arm_without_effect_is_rarely_ever_said_to_have_one(share: float) -> None:
    random = np.random.default_rng(6)
    wrong = [
        any(bounds.lower > 0 or bounds.upper < 0 for bounds in looks(random, 0.0, share))
        for _ in range(EXPERIMENTS)
    ]
    print(f"share {share}: {fmean(wrong):.1%} of {EXPERIMENTS} were ever wrong")
    assert fmean(wrong) <= ALPHA


def test_an_arm_that_harms_is_found_with_all_its_bounds_around_the_truth() -> None:
    random = np.random.default_rng(7)
    found, sound = [], []
    for _ in range(200):
        bounds = looks(random, harm=0.5)
        found.append(any(each.upper < 0 for each in bounds))
        sound.append(all(each.lower <= -0.5 <= each.upper for each in bounds))
    assert fmean(found) > 0.95
    assert fmean(sound) >= 1 - ALPHA


@given(arm=measured, control=measured)
def test_the_other_way_round_the_bounds_are_mirrored(arm: Measured, control: Measured) -> None:
    there, back = compare(arm, control, ALPHA), compare(control, arm, ALPHA)
    assert there is not None
    assert back is not None
    assert there.lower < arm.mean - control.mean < there.upper
    assert (there.lower, there.upper) == pytest.approx((-back.upper, -back.lower))


@given(arm=measured, control=measured, more=st.integers(2, 50))
def test_more_sessions_of_the_same_kind_and_a_larger_alpha_bring_the_bounds_together(
    arm: Measured, control: Measured, more: int
) -> None:
    few = _width(arm, control, ALPHA)
    many = _width(_times(arm, more), _times(control, more), ALPHA)
    assert many < few
    assert _width(arm, control, 2 * ALPHA) < few


def _times(one: Measured, more: int) -> Measured:
    return Measured(count=one.count * more, mean=one.mean, variance=one.variance)


def _width(arm: Measured, control: Measured, alpha: float) -> float:
    bounds = compare(arm, control, alpha)
    assert bounds is not None
    return bounds.upper - bounds.lower


def a_result(mean: float, count: int = 1_000) -> Measured:
    return Measured(count=count, mean=mean, variance=1.0)


def test_few_sessions_say_nothing() -> None:
    results = {"control": a_result(9.0), "alone": a_result(0.0, SESSIONS_MIN - 1)}
    assert harmful(an_experiment(), results) == {}
    assert harmful(an_experiment(), {"alone": a_result(0.0)}) == {}
    assert harmful(an_experiment(), {}) == {}


def test_only_running_arms_that_harm_are_named_and_why() -> None:
    arms = [an_arm(name, "player", 0.2) for name in ("control", "worse", "same", "better")]
    experiment = an_experiment(*arms)
    results = {
        "control": a_result(3.0),
        "worse": a_result(2.0),
        "same": a_result(2.99),
        "better": a_result(4.0),
    }
    reasons = harmful(experiment, results)
    assert set(reasons) == {"worse"}
    assert "lower than the control's by 0." in reasons["worse"]
    assert harmful(stop_arms(experiment, reasons, NOW_MS), results) == {}


def test_arms_share_the_experiments_alpha() -> None:
    gap = -compare_upper_at(ALPHA)
    results = {"control": a_result(gap + 1e-9), **{n: a_result(0.0) for n in ("alone", "b", "c")}}
    assert set(harmful(an_experiment(), results)) == {"alone"}
    arms = [an_arm(name, "player", 0.2) for name in ("control", "alone", "b", "c")]
    assert harmful(an_experiment(*arms), results) == {}


def compare_upper_at(alpha: float) -> float:
    """Of two equal arms, below zero."""
    bounds = compare(a_result(0.0), a_result(0.0), alpha)
    assert bounds is not None
    return bounds.lower
