"""Experiments with defaults; a test names only what it is about."""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.experiments import Arm, Experiment
from tests.builders import NOW_MS

NAME = "ceilings"


def an_arm(name: str, policy: str, share: float, **changes: Any) -> Arm:
    return msgspec.structs.replace(Arm(name=name, policy=policy, share=share), **changes)


def an_experiment(*arms: Arm, **changes: Any) -> Experiment:
    """Half of the sessions under the product's policy, half left to their players."""
    experiment = Experiment(
        name=NAME,
        subject="bitrate",
        salt="0123456789abcdef",
        arms=arms or (an_arm("control", "stochastic-mpc", 0.5), an_arm("alone", "player", 0.5)),
        by="ada",
        at_ms=NOW_MS,
        started_at_ms=NOW_MS,
    )
    return msgspec.structs.replace(experiment, **changes)
