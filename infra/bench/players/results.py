"""What was measured: pairs of plays in a file that a stopped measurement goes on with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec
import numpy as np

from infra.bench.players.score import Watched
from infra.files import write_whole

Arm = Literal["product", "alone"]
ARMS: Final[tuple[Arm, Arm]] = ("product", "alone")
"""The product's ceilings reach the player; the player is left alone."""
LATE_S_MAX: Final = 0.5
"""Later looks at the screen, or later bytes: then the machine was measured, not the players."""


class Pair(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The same player over the same network at the same time, once in each arm."""

    player: str
    network: str
    run: int
    start_s: float
    """Where in the recording it began."""
    product: Watched | None = None
    alone: Watched | None = None
    problem: str = ""
    """Why an arm has no figures."""

    @property
    def key(self) -> tuple[str, str, int]:
        """One of each is wanted."""
        return self.player, self.network, self.run

    @property
    def is_disturbed(self) -> bool:
        """The machine was too busy for it to count: it is made again."""
        arms = [arm for arm in (self.product, self.alone) if arm is not None]
        return any(max(arm.page_late_s, arm.link_late_s) > LATE_S_MAX for arm in arms)


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """All pairs, and what they have in common."""

    seed: int
    seconds: int
    """Of video in each play."""
    buffer_s: int
    """How far ahead the players fetch."""
    machine: str
    pairs: tuple[Pair, ...] = ()


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One player over one network: means over the runs, the product's first, and differences."""

    player: str
    network: str
    runs: int
    failed: int
    """Runs in which an arm has no figures; they are in no mean."""
    stalls: tuple[float, float]
    stall_s: tuple[float, float]
    stall_s_less: tuple[float, float]
    """Product less alone, and half of its 95 % interval."""
    qoe: tuple[float, float]
    qoe_more: tuple[float, float]
    kbps: tuple[float, float]
    switches: tuple[float, float]
    startup_s: tuple[float, float]


def read_results(path: Path, fresh: Results) -> Results:
    """What the file holds; `fresh` where there is none yet.

    Raises ValueError where it was measured with other options, msgspec.DecodeError.
    """
    if not path.exists():
        return fresh
    found = msgspec.json.decode(path.read_bytes(), type=Results)
    measured = (found.seed, found.seconds, found.buffer_s)
    if measured != (fresh.seed, fresh.seconds, fresh.buffer_s):
        options = "--seed {} --seconds {} --buffer {}".format(*measured)
        raise ValueError(f"{path} was measured with {options}")
    return found


def write_results(path: Path, results: Results) -> None:
    """The whole file, or none of it."""
    write_whole(path, msgspec.json.format(msgspec.json.encode(results)))


def with_pair(results: Results, pair: Pair) -> Results:
    """The pair in place of an earlier one with the same key."""
    others = [each for each in results.pairs if each.key != pair.key]
    pairs = tuple(sorted((*others, pair), key=lambda each: each.key))
    return msgspec.structs.replace(results, pairs=pairs)


def is_done(results: Results, key: tuple[str, str, int]) -> bool:
    """Whether that pair was made, on a machine that had time for it."""
    return any(pair.key == key and not pair.is_disturbed for pair in results.pairs)


def rows_of(results: Results) -> list[Row]:
    """By player and network, in their order in the results; disturbed pairs do not count."""
    kinds = dict.fromkeys((pair.player, pair.network) for pair in results.pairs)
    rows = (_row(*kind, [p for p in results.pairs if p.key[:2] == kind]) for kind in kinds)
    return [row for row in rows if row is not None]


def _row(player: str, network: str, pairs: Sequence[Pair]) -> Row | None:
    """None where nothing was measured."""
    counted = [pair for pair in pairs if not pair.is_disturbed]
    both = [(p.product, p.alone) for p in counted if p.product is not None and p.alone is not None]
    if not both:
        return None

    def mean(name: str) -> tuple[float, float]:
        ours = np.mean([getattr(product, name) for product, _ in both])
        theirs = np.mean([getattr(alone, name) for _, alone in both])
        return float(ours), float(theirs)

    return Row(
        player=player,
        network=network,
        runs=len(both),
        failed=len(counted) - len(both),
        stalls=mean("stalls"),
        stall_s=mean("stall_s"),
        stall_s_less=paired_interval([p.stall_s - a.stall_s for p, a in both]),
        qoe=mean("qoe"),
        qoe_more=paired_interval([p.qoe - a.qoe for p, a in both]),
        kbps=mean("kbps"),
        switches=mean("switches"),
        startup_s=mean("startup_s"),
    )


def paired_interval(differences: Sequence[float]) -> tuple[float, float]:
    """Mean, and half of its 95 % interval by Student's t; infinite for a single difference."""
    mean = float(np.mean(differences))
    if len(differences) < 2:
        return mean, float("inf")
    error = float(np.std(differences, ddof=1)) / len(differences) ** 0.5
    return mean, student_t95(len(differences) - 1) * error


def student_t95(degrees: int) -> float:
    """The 97.5 % quantile of Student's t (Abramowitz and Stegun 26.7.5; the first two exactly)."""
    if degrees < 3:
        return (12.7062, 4.3027)[degrees - 1]
    z = 1.959964
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return float(sum(term / degrees**power for power, term in enumerate(terms)))
