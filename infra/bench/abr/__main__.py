"""Scores a policy on recorded traces: `python -m infra.bench.abr --traces DIR --video FILE …`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from agents.bitrate.population import Population
from agents.bitrate.stochastic import compile_all
from infra.bench.abr.player import Score
from infra.bench.abr.players import PLAYERS
from infra.bench.abr.policies import NAMES, PRODUCT, as_delivered, make_policy, score_all
from infra.bench.abr.product import learned_from
from infra.bench.abr.trace import read_traces
from infra.bench.abr.video import read_video


def main(arguments: Sequence[str] | None = None) -> int:
    """Stream every trace once, write the scores, print their means; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        traces = read_traces(options.traces)
        video = read_video(options.video)
        earlier = read_traces(options.population) if options.population else []
    except (OSError, ValueError, msgspec.DecodeError) as error:
        print(f"abr: {error}", file=sys.stderr)
        return 2
    if not traces:
        print(f"abr: no *.csv in {options.traces}", file=sys.stderr)
        return 2
    population = learned_from(earlier, video) if earlier else Population()
    policy, decision_s = make_policy(options.policy, population, options.over)
    if options.policy == PRODUCT:
        compile_all()
    delivered = as_delivered(policy, options.over, options.delay)
    scores = score_all(traces, video, delivered)
    options.out.write_bytes(msgspec.json.format(msgspec.json.encode(scores)))
    _print_means(scores, decision_s)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.bench.abr", description=__doc__)
    parser.add_argument("--traces", type=Path, required=True, help="folder of *.csv")
    parser.add_argument("--video", type=Path, required=True, help="a video's ladder and sizes")
    parser.add_argument("--population", type=Path, help="earlier traces, to learn from only")
    parser.add_argument("--policy", choices=NAMES, default=PRODUCT)
    parser.add_argument(
        "--delay", type=int, default=0, help="reports late, and rounded as CMCD rounds them"
    )
    parser.add_argument("--over", choices=PLAYERS, help="as a ceiling over this player's own rule")
    parser.add_argument("--out", type=Path, required=True, help="scores of the traces, as JSON")
    return parser


def _print_means(scores: Sequence[Score], decision_s: Sequence[float]) -> None:
    print(f"{len(scores)} traces")
    for field in ("qoe", "kbps", "rebuf_pct", "sw_min", "dq", "startup_s"):
        print(f"{field:10} {np.mean([getattr(each, field) for each in scores]):.3f}")
    if decision_s:
        p50_ms, p99_ms = 1000 * np.quantile(decision_s, [0.5, 0.99])
        print(f"decision   p50 {p50_ms:.2f} ms, p99 {p99_ms:.2f} ms, {len(decision_s)} of them")


if __name__ == "__main__":
    sys.exit(main())
