"""Operations of the console: which command lines they are, and that each was shown before."""

import msgspec
import pytest

from gateway.operations import OperationBody
from gateway.plans import (
    PLAN_MS_MAX,
    BackupOperation,
    DropOperation,
    Plans,
    RedriveOperation,
    ReplayOperation,
    arguments_of,
)
from gateway.problems import ProblemError

REPLAY = ReplayOperation(topic="playback.events.v1", start="2h")


def test_an_operation_is_a_command_line() -> None:
    assert arguments_of(REPLAY, dry_run=True) == (
        *("replay", "playback.events.v1", "--to-group=analytics", "--from=2h"),
        *("--rate=10000", "--dry-run", "--json"),
    )
    redrive = RedriveOperation(topic="playback.events.v1", reason="not-json", agent="fold")
    assert arguments_of(redrive, dry_run=False) == (
        *("dead-letters", "redrive", "--topic=playback.events.v1"),
        *("--reason=not-json", "--agent=fold", "--json"),
    )
    assert arguments_of(DropOperation(topic="watches.v1"), dry_run=True)[1] == "drop"
    assert arguments_of(BackupOperation(), dry_run=False) == ("backup", "--into-home", "--json")


def test_a_topic_is_one_of_the_registry() -> None:
    with pytest.raises(ProblemError) as refused:
        arguments_of(ReplayOperation(topic="--help"), dry_run=True)
    assert refused.value.problem.status == 400


@pytest.mark.parametrize(
    "field", ['"start":"2h;rm"', '"start":"$(x)"', '"rate":0', '"to_group":"account"', '"x":1']
)
def test_what_is_no_option_is_refused_or_ignored(field: str) -> None:
    body = f'{{"operation":{{"name":"replay","topic":"watches.v1",{field}}}}}'.encode()
    if field == '"x":1':
        assert msgspec.json.decode(body, type=OperationBody).plan == ""
        return
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=OperationBody)


def test_nothing_runs_that_was_not_shown() -> None:
    plans = Plans()
    with pytest.raises(ProblemError):
        plans.take(REPLAY, "made-up", 0)
    plan = plans.show(REPLAY, 0)
    with pytest.raises(ProblemError):
        plans.take(msgspec.structs.replace(REPLAY, start="3h"), plan, 1)
    plan = plans.show(REPLAY, 0)
    plans.take(REPLAY, plan, 1)
    with pytest.raises(ProblemError):  # once for each dry run
        plans.take(REPLAY, plan, 2)


def test_a_dry_run_grows_old() -> None:
    plans = Plans()
    plan = plans.show(REPLAY, 0)
    with pytest.raises(ProblemError):
        plans.take(REPLAY, plan, PLAN_MS_MAX + 1)
