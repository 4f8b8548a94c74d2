"""Which policy sets a ceiling, and what of it players are told."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, get_args

import msgspec
import pytest

from agents.bitrate.applying import policy_for
from agents.bitrate.ceilings import Ceilings
from agents.bitrate.population import Population
from schemas.bitrate import BitrateDecision, BitratePolicy
from schemas.experiments import Experiment
from streams.experiments import stop_arms
from tests.builders import NOW_MS, SESSION_ID, a_session, a_title
from tests.experiments import NAME, an_arm, an_experiment
from tests.unit.bitrate.test_ceilings import a_download

LONG_AGO_MS = 0


def under(policy: str, control: str = "stochastic-mpc") -> Experiment:
    """Everybody but nobody in the control."""
    arms = (an_arm("control", control, 1e-12), an_arm("tried", policy, 1.0))
    return an_experiment(*arms, started_at_ms=LONG_AGO_MS)


class Worker:
    """The ceilings of one session, its decisions read back as they are published."""

    def __init__(self, experiments: dict[str, Experiment]) -> None:
        self.decisions: dict[str, BitrateDecision] = {}
        self.experiments = experiments
        self._number = 0
        self.begin()

    def begin(self) -> None:
        """As after a restart: only the decisions are known."""
        self.ceilings = Ceilings(
            {SESSION_ID: a_session()},
            {"tears": a_title()},
            self.decisions,
            self.experiments,
            Population(),
        )

    def take(self, count: int = 3, kbps: int = 3_000) -> list[BitrateDecision]:
        found = []
        for _ in range(count):
            self._number += 1
            record = a_download(self._number, kbps)
            decision = self.ceilings.take(record, record.timestamp_ms)
            if decision is not None:
                self.decisions[SESSION_ID] = decision
                found.append(decision)
        return found


@pytest.mark.parametrize("policy", get_args(BitratePolicy))
def test_an_arm_is_treated_by_its_policy(policy: BitratePolicy) -> None:
    assert policy_for({NAME: under(policy)}, SESSION_ID) == policy


def test_without_an_experiment_or_under_an_unknown_word_the_products_policy_decides() -> None:
    assert policy_for({}, SESSION_ID) == "stochastic-mpc"
    assert policy_for({NAME: under("of-a-newer-version")}, SESSION_ID) == "stochastic-mpc"


def test_the_product_decides_as_without_an_experiment_and_says_the_arm() -> None:
    plain, *_ = Worker({}).take()
    told, *_ = Worker({NAME: under("stochastic-mpc")}).take()
    assert plain.arms == {}
    assert plain == msgspec.structs.replace(told, arms={})
    assert told.arms == {NAME: "tried"}


def test_a_shadow_decides_what_the_product_does_and_tells_no_player() -> None:
    plain, *_ = Worker({}).take()
    shadow, *_ = Worker({NAME: under("shadow")}).take()
    assert (shadow.ceiling_kbps, shadow.rendition_id, shadow.height) == (None, None, None)
    assert shadow.shadow_ceiling_kbps == plain.ceiling_kbps
    assert (shadow.policy, plain.policy) == ("shadow", "stochastic-mpc")


def test_a_shadow_goes_on_after_a_restart_without_deciding_the_same_again() -> None:
    worker = Worker({NAME: under("shadow")})
    decisions = worker.take(10)
    worker.begin()
    decisions += worker.take(10)
    ceilings = [each.shadow_ceiling_kbps for each in decisions]
    assert all(one != next_one for one, next_one in pairwise(ceilings))
    assert [each.version for each in decisions] == list(range(1, len(decisions) + 1))


def test_the_robust_rate_looks_at_nothing_else() -> None:
    decision, *_ = Worker({NAME: under("robust-rate")}).take()
    assert (decision.facts.rule, decision.policy) == ("rate", "robust-rate")
    assert decision.ceiling_kbps is not None


def test_a_player_alone_gets_no_decision_at_all() -> None:
    assert Worker({NAME: under("player")}).take(10) == []


@pytest.mark.parametrize("restarts", [False, True])
def test_a_ceiling_is_lifted_once_where_the_player_is_left_alone(*, restarts: bool) -> None:
    running: dict[str, Experiment] = {NAME: under("stochastic-mpc", control="player")}
    worker = Worker(running)
    *_, held = worker.take()
    running[NAME] = stop_arms_but_go_on(running[NAME])
    if restarts:
        worker.begin()
    (lifted,) = worker.take()
    assert (lifted.ceiling_kbps, lifted.shadow_ceiling_kbps) == (None, None)
    assert (lifted.policy, lifted.reason) == ("player", "policy-changed")
    assert lifted.version == held.version + 1
    if restarts:
        worker.begin()
    assert worker.take(10) == []


@pytest.mark.parametrize("policy", ["shadow", "player"])
def test_an_arm_that_is_stopped_gets_the_products_ceiling(policy: str) -> None:
    running: dict[str, Any] = {NAME: under(policy)}
    worker = Worker(running)
    worker.take()
    running[NAME] = stop_arms(running[NAME], {"tried": "it harms"}, NOW_MS)
    told, *_ = worker.take()
    assert told.ceiling_kbps is not None
    assert told.policy == "stochastic-mpc"


def stop_arms_but_go_on(experiment: Experiment) -> Experiment:
    """One that has another arm still."""
    more = (*experiment.arms, an_arm("other", "shadow", 0.0001))
    return stop_arms(msgspec.structs.replace(experiment, arms=more), {"tried": "it harms"}, NOW_MS)
