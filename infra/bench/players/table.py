"""The results as a table, for a terminal and for the documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from infra.bench.players.results import Pair, Results, Row, rows_of
from infra.bench.players.score import Watched

HEADINGS: Final = (
    *("player", "network", "runs", "stalls", "stalled s", "difference", "QoE", "difference"),
    *("kbit/s", "switches", "first frame s"),
)


def markdown(results: Results) -> str:
    """A table by player and network; each cell says the product's ceilings first, then alone."""
    lines = [" | ".join(HEADINGS), "|".join("---" for _ in HEADINGS)]
    lines += [" | ".join(_cells(row)) for row in rows_of(results)]
    table = "\n".join(f"| {line} |" for line in lines)
    return f"{_caption(results)}\n\n{table}\n"


def plain(results: Results) -> str:
    """The same in columns."""
    rows = [HEADINGS, *(_cells(row) for row in rows_of(results))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return "\n".join(_padded(row, widths) for row in rows)


def pair_line(pair: Pair) -> str:
    """What came of one pair."""
    arms = f"ceilings {_told(pair.product)}, alone {_told(pair.alone)}"
    note = " (the machine was too busy: again)" if pair.is_disturbed else ""
    return f"{pair.player} {pair.network} {pair.run}: {arms}{note} {pair.problem}".rstrip()


def _told(watched: Watched | None) -> str:
    if watched is None:
        return "failed"
    return f"QoE {watched.qoe:.2f}, {watched.stall_s:.1f} s stalled, {watched.kbps:.0f} kbit/s"


def _caption(results: Results) -> str:
    disturbed = sum(pair.is_disturbed for pair in results.pairs)
    failed = sum(row.failed for row in rows_of(results))
    return (
        f"{results.seconds} s of video a play, {results.buffer_s} s of buffer, "
        f"seed {results.seed}, {results.machine}. With the product's ceilings / left alone, means "
        "over the runs; differences with their 95 % interval, paired. "
        f"{failed} runs failed, {disturbed} do not count as the machine was busy."
    )


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.player,
        row.network,
        str(row.runs),
        _both(row.stalls, 1),
        _both(row.stall_s, 1),
        _difference(row.stall_s_less),
        _both(row.qoe, 2),
        _difference(row.qoe_more),
        _both(row.kbps, 0),
        _both(row.switches, 1),
        _both(row.startup_s, 1),
    )


def _both(values: tuple[float, float], digits: int) -> str:
    return " / ".join(f"{value:.{digits}f}" for value in values)


def _difference(interval: tuple[float, float]) -> str:
    mean, half = interval
    return f"{mean:+.2f} ± {half:.2f}"


def _padded(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
