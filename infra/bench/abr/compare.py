"""Cross-validates the controller: `python -m infra.bench.abr.compare --data DIR`.

For each set of traces, a session's population is the other fold of the same set, streamed by
RobustMPC: chunk sizes and times of sessions that share no viewer, line or drive with it.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from agents.bitrate.population import Population
from agents.bitrate.stochastic import compile_all
from infra.bench.abr.mpc import ModelPredictive
from infra.bench.abr.optimum import optimal_qoe
from infra.bench.abr.player import Policy, Score
from infra.bench.abr.players import PLAYERS, player_alone
from infra.bench.abr.policies import NAMES, PRODUCT, as_delivered, make_policy, score_all
from infra.bench.abr.product import learned_from
from infra.bench.abr.trace import Trace, read_traces
from infra.bench.abr.video import Video, read_video


class TraceSet(msgspec.Struct, frozen=True, kw_only=True):
    """One set: where it lies, what is streamed over it, and what part of a name is a mere cut."""

    name: str
    folder: str
    video: str
    cut: str = ""
    times: float = 1.0
    """Of the rates in its files."""


STANDARD: Final = (
    TraceSet(name="hsdpa", folder="hsdpa", video="envivio"),
    TraceSet(name="fcc", folder="fcc", video="envivio", cut=r"_\d+$"),
    TraceSet(name="oboe", folder="oboe", video="envivio"),
    TraceSet(name="puffer", folder="puffer", video="envivio", cut=r"_\d+$"),
)
HIGH: Final = (
    TraceSet(name="puffer8", folder="puffer", video="bbb4k", cut=r"_\d+$", times=8.0),
    TraceSet(name="lte_be", folder="lte_be", video="bbb4k", cut=r"_w\d+$"),
    TraceSet(name="lumos4g", folder="lumos4g", video="bbb4k"),
    TraceSet(name="ucc5g", folder="ucc5g", video="bbb4k", cut=r"_w\d+$"),
    TraceSet(name="lumos5g", folder="lumos5g", video="uhd5g"),
)
STRESS: Final = (TraceSet(name="stress_step", folder="stress_step", video="bbb4k"),)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What a set gave; `ours` and `theirs` are paired, per trace."""

    name: str
    traces: int
    qoe: float
    share_pct: float
    """Of the optimum: ratio of the means."""
    rebuf_pct: float
    their_qoe: float
    their_share_pct: float
    their_rebuf_pct: float
    gain: float
    """Mean of the paired differences of QoE."""
    gain_error: float
    """Half of its 95 % interval."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, and write it where asked; returns the exit code."""
    options = _parser().parse_args(arguments)
    names = options.sets.split(",") if options.sets else None
    compile_all()
    rows: list[Row] = []
    decision_s: list[float] = []
    optima = _read_optima(options.optima)
    print(f"{'set':12} {'n':>4} {'QoE':>8} {'% opt':>6} {'rebuf':>6} | {'their':>8} ", end="")
    print(f"{'% opt':>6} {'rebuf':>6} | {'difference, 95 %':>18}")
    for trace_set in (*STANDARD, *HIGH, *STRESS):
        if names is None or trace_set.name in names:
            known = optima.setdefault(trace_set.name, {})
            row = _compare(trace_set, options, known, decision_s)
            rows.append(row)
            print(_line(row), flush=True)
    for title, group in (("standard", STANDARD), ("HD", HIGH)):
        _print_mean(title, [row for row in rows if row.name in {each.name for each in group}])
    if decision_s:
        p50_ms, p99_ms = 1000 * np.quantile(decision_s, [0.5, 0.99])
        print(f"decision p50 {p50_ms:.2f} ms, p99 {p99_ms:.2f} ms")
    if options.optima:
        options.optima.write_bytes(msgspec.json.encode(optima))
    if options.out:
        options.out.write_bytes(msgspec.json.format(msgspec.json.encode(rows)))
    return 0


def fold_of(trace: Trace, trace_set: TraceSet) -> int:
    """0 or 1; what was cut from one viewer, line or drive stays together."""
    group = re.sub(trace_set.cut, "", trace.name) if trace_set.cut else trace.name
    return sha256(f"fold{group}".encode()).digest()[0] % 2


def paired_gain(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float]:
    """Mean of the differences, and half of its 95 % interval (normal approximation)."""
    differences = np.array(ours) - np.array(theirs)
    error = differences.std(ddof=1) / np.sqrt(len(differences)) if len(differences) > 1 else 0.0
    return float(differences.mean()), 1.96 * float(error)


def _compare(
    trace_set: TraceSet,
    options: argparse.Namespace,
    known: dict[str, float],
    decision_s: list[float],
) -> Row:
    video = read_video(options.data / "video" / f"{trace_set.video}.json")
    traces = [
        msgspec.structs.replace(trace, received_bytes=trace.received_bytes * trace_set.times)
        for trace in read_traces(options.data / "traces" / trace_set.folder)
    ]
    ours: list[Score] = []
    theirs: list[Score] = []
    optima: list[float] = []
    for fold in (0, 1):
        scored = [trace for trace in traces if fold_of(trace, trace_set) == fold]
        others = [trace for trace in traces if fold_of(trace, trace_set) != fold]
        population = Population() if options.alone else learned_from(others, video)
        policy, seconds = make_policy(options.policy, population, options.over)
        chosen = scored[:: options.every]
        delivered = as_delivered(policy, options.over, options.delay)
        ours += score_all(chosen, video, delivered)
        theirs += score_all(chosen, video, _reference(options.over))
        optima += [_optimum(known, trace, video) for trace in chosen]
        decision_s += seconds
    return _row(trace_set.name, ours, theirs, optima)


def _read_optima(path: Path | None) -> dict[str, dict[str, float]]:
    """Optima by set and trace that an earlier run kept; they take most of a run's time."""
    if path is None or not path.exists():
        return {}
    return msgspec.json.decode(path.read_bytes(), type=dict[str, dict[str, float]])


def _optimum(known: dict[str, float], trace: Trace, video: Video) -> float:
    if trace.name not in known:
        known[trace.name] = optimal_qoe(trace, video)
    return known[trace.name]


def _reference(over: str | None) -> Policy:
    """What we are compared with: RobustMPC in full control, or the player left alone."""
    return ModelPredictive(is_robust=True) if over is None else player_alone(over)


def _row(name: str, ours: Sequence[Score], theirs: Sequence[Score], optima: Sequence[float]) -> Row:
    our_qoe = [each.qoe for each in ours]
    their_qoe = [each.qoe for each in theirs]
    best = float(np.mean(optima))
    gain, gain_error = paired_gain(our_qoe, their_qoe)
    return Row(
        name=name,
        traces=len(ours),
        qoe=float(np.mean(our_qoe)),
        share_pct=100 * float(np.mean(our_qoe)) / best,
        rebuf_pct=float(np.mean([each.rebuf_pct for each in ours])),
        their_qoe=float(np.mean(their_qoe)),
        their_share_pct=100 * float(np.mean(their_qoe)) / best,
        their_rebuf_pct=float(np.mean([each.rebuf_pct for each in theirs])),
        gain=gain,
        gain_error=gain_error,
    )


def _line(row: Row) -> str:
    ours = f"{row.qoe:8.3f} {row.share_pct:6.1f} {row.rebuf_pct:6.2f}"
    theirs = f"{row.their_qoe:8.3f} {row.their_share_pct:6.1f} {row.their_rebuf_pct:6.2f}"
    return (
        f"{row.name:12} {row.traces:4} {ours} | {theirs} | {row.gain:+9.3f} ± {row.gain_error:.3f}"
    )


def _print_mean(title: str, rows: Sequence[Row]) -> None:
    if rows:
        ours = np.mean([row.share_pct for row in rows])
        theirs = np.mean([row.their_share_pct for row in rows])
        print(f"{title}: {ours:.2f} % of the optimum, reference {theirs:.2f} %")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m infra.bench.abr.compare", description="Cross-validate the controller."
    )
    parser.add_argument("--data", type=Path, required=True, help="has traces/SET and video")
    parser.add_argument("--sets", default="", help="names, with commas; all by default")
    parser.add_argument("--policy", choices=NAMES, default=PRODUCT)
    parser.add_argument("--every", type=int, default=1, help="score only each n-th trace of a fold")
    parser.add_argument("--alone", action="store_true", help="without any population")
    parser.add_argument("--delay", type=int, default=0, help="reports late")
    parser.add_argument("--over", choices=PLAYERS, help="as a ceiling over this player's own rule")
    parser.add_argument("--optima", type=Path, help="JSON file to keep the optima in")
    parser.add_argument("--out", type=Path, help="the rows, as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
