"""Which faults strike, in which order: a pure function of a seed, kept as JSON.

Times are relative: a fault strikes `after_s` after the one before it was recovered from. So the
same schedule means the same on a slow machine.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from schemas.errors import PlayheadError

Kind = Literal["kill", "stop", "lose", "reset", "slow", "full", "poison", "rebalance"]
Place = Literal[
    "gateway",
    "kafka",
    "clickhouse",
    "analytics",
    "fold",
    "bitrate",
    "steering",
    "license",
    "account",
    "recommendation",
    "client-gateway",
    "gateway-kafka",
    "analytics-kafka",
    "analytics-clickhouse",
]
Cell = tuple[Place, Kind]
Seconds = Annotated[float, Meta(ge=0, le=600)]

PROCESSES: Final[tuple[Place, ...]] = (
    "gateway",
    "kafka",
    "clickhouse",
    "analytics",
    "fold",
    "bitrate",
    "steering",
    "license",
    "account",
    "recommendation",
)
"""The catalog worker is left out: nothing of it is in flight once titles are listed."""
LINKS: Final[tuple[Place, ...]] = (
    "client-gateway",
    "gateway-kafka",
    "analytics-kafka",
    "analytics-clickhouse",
)
CELLS: Final[tuple[Cell, ...]] = (
    *((place, "kill") for place in PROCESSES),
    *((place, "stop") for place in PROCESSES),
    *((link, "lose") for link in LINKS),
    *((link, "reset") for link in LINKS),
    *((link, "slow") for link in LINKS),
    ("clickhouse", "full"),
    ("kafka", "poison"),
    ("analytics", "rebalance"),
    ("fold", "rebalance"),
)
SPANS_S: Final[dict[Kind, tuple[float, float]]] = {
    "stop": (2.0, 40.0),
    "lose": (1.0, 4.0),
    "reset": (1.0, 4.0),
    "slow": (3.0, 10.0),
    "full": (2.0, 15.0),
    "rebalance": (8.0, 20.0),
}
"""How long one lasts; the shorter, the more often."""
PAUSE_S: Final = (0.5, 3.0)


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault.

    kill: kill -9. stop: SIGSTOP, then SIGCONT. lose: the request arrives, its answer does not.
    reset: connections are cut. slow: latency and a narrow link. full: ClickHouse has no disk left.
    poison: records that nobody can read. rebalance: a second worker joins and leaves the group.
    """

    place: Place
    kind: Kind
    after_s: Seconds
    lasts_s: Seconds = 0.0
    seed: int
    """What is left to chance inside it."""

    @property
    def cell(self) -> Cell:
        """What it counts for."""
        return (self.place, self.kind)


class Schedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The faults of one run, and the seed of its traffic."""

    seed: int
    faults: tuple[Fault, ...]


class ScheduleError(PlayheadError):
    """A schedule cannot be read, or names what does not exist."""


def make_schedule(
    seed: int, count: int, cells: Sequence[Cell] = CELLS, *, span_s_max: float = math.inf
) -> Schedule:
    """`count` faults, every cell as often as any other but for one; none lasts `span_s_max`."""
    chance = random.Random(seed)  # noqa: S311 - a schedule is to be repeated
    faults: list[Fault] = []
    while len(faults) < count:
        deck = list(cells)
        chance.shuffle(deck)
        faults += [_fault(cell, chance, span_s_max) for cell in deck[: count - len(faults)]]
    return Schedule(seed=seed, faults=tuple(faults))


def _fault(cell: Cell, chance: random.Random, span_s_max: float) -> Fault:
    place, kind = cell
    low, high = SPANS_S.get(kind, (0.0, 0.0))
    high = min(high, span_s_max)
    low = min(low, high)
    lasts_s = math.exp(chance.uniform(math.log(low), math.log(high))) if low else 0.0
    return Fault(
        place=place,
        kind=kind,
        after_s=round(chance.uniform(*PAUSE_S), 2),
        lasts_s=round(lasts_s, 2),
        seed=chance.getrandbits(31),
    )


def write_schedule(schedule: Schedule) -> bytes:
    """As JSON, for people too."""
    return msgspec.json.format(msgspec.json.encode(schedule), indent=1) + b"\n"


def read_schedule(content: bytes) -> Schedule:
    """Raises ScheduleError where it is none, or a fault is none that can be made."""
    try:
        schedule = msgspec.json.decode(content, type=Schedule)
    except msgspec.DecodeError as error:
        raise ScheduleError(f"this is no schedule: {error}") from error
    if unknown := {fault.cell for fault in schedule.faults} - set(CELLS):
        raise ScheduleError(f"no such fault: {sorted(unknown)}")
    return schedule
