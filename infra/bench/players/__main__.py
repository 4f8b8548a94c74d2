"""Plays recorded networks in Chromium: `python -m infra.bench.players --data DIR --out FILE …`.

Each player plays each network in pairs at the same time: once with the product's ceilings, once
left alone. A measurement that was stopped goes on with the same command.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from infra.bench.players.measuring import Plan, measure
from infra.bench.players.networks import choose_networks
from infra.bench.players.results import Pair, Results, read_results, with_pair, write_results
from infra.bench.players.table import markdown, pair_line, plain
from infra.bench.players.watching import LABELS
from infra.bench.processes import machine_class
from schemas.errors import PlayheadError


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the missing pairs, keep each as it comes, print the table; returns the exit code."""
    options = _parser().parse_args(arguments)
    fresh = Results(
        seed=options.seed,
        seconds=options.seconds,
        buffer_s=options.buffer,
        machine=machine_class(),
    )
    try:
        results = read_results(options.out, fresh)
        plan = Plan(
            players=tuple(options.players.split(",")),
            networks=choose_networks(options.data, options.traces, options.seed),
            runs=options.runs,
            parallel=options.parallel,
        )
        require_known(plan.players)
    except (OSError, ValueError, msgspec.DecodeError) as error:
        print(f"players: {error}", file=sys.stderr)
        return 2
    try:
        results = _run(plan, results, options.out)
    except PlayheadError as error:
        print(f"players: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nstopped; the same command goes on from {options.out}", file=sys.stderr)
        return 1
    print(plain(results))
    if options.markdown:
        options.markdown.write_text(markdown(results), encoding="utf-8")
    return 0


def require_known(players: Sequence[str]) -> None:
    """Raises ValueError."""
    unknown = [player for player in players if player not in LABELS]
    if unknown:
        raise ValueError(f"no player is named {', '.join(unknown)}: there are {', '.join(LABELS)}")


def _run(plan: Plan, results: Results, out: Path) -> Results:
    """The results with every pair that was made."""
    known = results
    total = len(plan.missing(results))

    def take(pair: Pair, left_s: float) -> Results:
        nonlocal known
        known = with_pair(known, pair)
        write_results(out, known)
        done = total - len(plan.missing(known))
        print(f"{done}/{total}, {left_s / 60:.0f} min left: {pair_line(pair)}", flush=True)
        return known

    print(f"{total} pairs of {results.seconds} s over {', '.join(plan.networks)}", flush=True)
    asyncio.run(measure(plan, results, take))
    return known


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m infra.bench.players",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Example: python -m infra.bench.players --data DIR --out players.json --runs 10",
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="has traces/SET/NAME.csv")
    add("--out", type=Path, required=True, help="JSON: what it holds is not measured again")
    add("--players", default=",".join(LABELS), help="names, with commas")
    add("--traces", default="4", help="SET/NAME, with commas; or how many, drawn by the seed")
    add("--runs", type=int, default=10, help="pairs for each player and trace")
    add("--seconds", type=int, default=120, help="of video in each play")
    add("--buffer", type=int, default=30, help="seconds that players fetch ahead")
    add("--parallel", type=int, default=2, help="plays at once; both of a pair are")
    add("--seed", type=int, default=1, help="draws traces, and where in them runs begin")
    add("--markdown", type=Path, help="write the table for documents")
    return parser


if __name__ == "__main__":
    sys.exit(main())
