"""What may be started as an experiment."""

from __future__ import annotations

from typing import Any

import pytest

from infra.operations.experimenting import (
    ExperimentError,
    parse_arm,
    require_arm,
    require_room,
    require_sound,
)
from schemas.errors import InvalidMessageError
from streams.experiments import stop
from tests.builders import NOW_MS
from tests.experiments import NAME, an_arm, an_experiment


def test_an_arm_is_written_on_one_line() -> None:
    assert parse_arm("alone=player:0.25") == an_arm("alone", "player", 0.25)


@pytest.mark.parametrize("text", ["", "alone", "alone=player", "alone=player:", "alone=player:all"])
def test_what_is_no_arm_is_told_so(text: str) -> None:
    with pytest.raises(InvalidMessageError, match="NAME=POLICY:SHARE"):
        parse_arm(text)


def test_arms_may_take_the_whole_and_no_more() -> None:
    tenths = [an_arm(f"arm-{number}", "player", 0.1) for number in range(8)]
    require_sound(an_experiment(*tenths))
    require_sound(an_experiment(*tenths[:7], an_arm("rest", "player", 0.3)))
    with pytest.raises(InvalidMessageError, match="more than 1"):
        require_sound(an_experiment(*tenths[:7], an_arm("rest", "player", 0.31)))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "Not A Name"},
        {"alpha": 0.0},
        {"arms": (an_arm("control", "player", 0.5),)},
        {"arms": (an_arm("control", "player", 0.5), an_arm("control", "shadow", 0.5))},
        {"arms": (an_arm("control", "player", 0.5), an_arm("alone", "gut-feeling", 0.5))},
        {"arms": (an_arm("control", "player", 0.5), an_arm("alone", "player", 0.0))},
        {"arms": (an_arm("control", "player", 0.5), an_arm("alone", "player", float("nan")))},
    ],
)
def test_what_cannot_be_run_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidMessageError):
        require_sound(an_experiment(**changes))


def test_a_name_is_taken_for_ever_and_a_subject_while_another_runs() -> None:
    running, stopped = an_experiment(), stop(an_experiment(), NOW_MS, "enough")
    require_room(an_experiment(name="other"), [stopped])
    with pytest.raises(ExperimentError, match="another name"):
        require_room(an_experiment(), [stopped])
    with pytest.raises(ExperimentError, match=f"stop {NAME}"):
        require_room(an_experiment(name="other"), [running])


def test_an_arm_is_stopped_once_and_the_control_never() -> None:
    running = an_experiment(
        *an_experiment().arms, an_arm("quiet", "shadow", 0.0, stopped_at_ms=NOW_MS)
    )
    require_arm(running, "")
    require_arm(running, "alone")
    for name in ("control", "quiet", "nobody"):
        with pytest.raises(ExperimentError, match="alone do"):
            require_arm(running, name)
