"""Operations of the console, as command lines, and which of them were shown as a dry run."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from typing import Annotated, Final, Literal, assert_never

import msgspec
from msgspec import Meta

from gateway.problems import ProblemError
from streams.topics import BY_NAME

PLAN_MS_MAX: Final = 600_000
"""How long a dry run allows what it showed."""
PLANS_MAX: Final = 100

Word = Annotated[str, Meta(max_length=64, pattern=r"^[A-Za-z0-9:.+_-]*$")]
Group = Literal["analytics", "license", "bitrate", "steering"]


class ReplayOperation(msgspec.Struct, frozen=True, kw_only=True, tag_field="name", tag="replay"):
    """`playhead replay`; empty is the option left out."""

    topic: Word
    start: Word = ""
    end: Word = ""
    to_group: Group = "analytics"
    replace: Word = ""
    warm_up: bool = False
    rate: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000


class RedriveOperation(msgspec.Struct, frozen=True, kw_only=True, tag_field="name", tag="redrive"):
    """`playhead dead-letters redrive` by filter."""

    topic: Word
    reason: Word = ""
    agent: Word = ""


class DropOperation(msgspec.Struct, frozen=True, kw_only=True, tag_field="name", tag="drop"):
    """`playhead dead-letters drop` by filter."""

    topic: Word
    reason: Word = ""
    agent: Word = ""


class BackupOperation(msgspec.Struct, frozen=True, kw_only=True, tag_field="name", tag="backup"):
    """`playhead backup` into the home's folder of backups; keys are for the command line alone."""


Operation = ReplayOperation | RedriveOperation | DropOperation | BackupOperation


class Plans:
    """Which dry runs were shown by this gateway, and when."""

    def __init__(self) -> None:
        self._shown: OrderedDict[str, int] = OrderedDict()

    def show(self, operation: Operation, now_ms: int) -> str:
        """The plan of a dry run that succeeded."""
        plan = _digest(operation)
        self._shown.pop(plan, None)
        self._shown[plan] = now_ms
        if len(self._shown) > PLANS_MAX:
            self._shown.popitem(last=False)
        return plan

    def take(self, operation: Operation, plan: str, now_ms: int) -> None:
        """Use the plan up. ProblemError 409 where this was not shown, or too long ago."""
        shown_ms = self._shown.pop(plan, None)
        if plan != _digest(operation) or shown_ms is None or now_ms - shown_ms > PLAN_MS_MAX:
            raise ProblemError(409, "no-dry-run", "look at a dry run of exactly this first")


def arguments_of(operation: Operation, *, dry_run: bool) -> tuple[str, ...]:
    """The command line behind `playhead`. ProblemError 400 for a topic that is none."""
    dry = ("--dry-run",) if dry_run else ()
    match operation:
        case ReplayOperation():
            given = {"from": operation.start, "to": operation.end, "replace": operation.replace}
            return (
                *("replay", _topic(operation.topic), f"--to-group={operation.to_group}"),
                *(f"--{name}={value}" for name, value in given.items() if value),
                *(("--warm-up",) if operation.warm_up else ()),
                *(f"--rate={operation.rate}", *dry, "--json"),
            )
        case RedriveOperation() | DropOperation():
            verb = "redrive" if isinstance(operation, RedriveOperation) else "drop"
            given = {"reason": operation.reason, "agent": operation.agent}
            return (
                *("dead-letters", verb, f"--topic={_topic(operation.topic)}"),
                *(f"--{name}={value}" for name, value in given.items() if value),
                *(*dry, "--json"),
            )
        case BackupOperation():
            return ("backup", "--into-home", *dry, "--json")
        case _:
            assert_never(operation)


def _topic(name: str) -> str:
    if name.removesuffix(".dead-letter") not in BY_NAME:
        raise ProblemError(400, "topic", "there is no such topic")
    return name


def _digest(operation: Operation) -> str:
    return blake2b(msgspec.json.encode(operation), digest_size=16).hexdigest()
