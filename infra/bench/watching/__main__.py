"""`python -m infra.bench.watching --scenario FILE --out FILE.json [--plot FILE.svg]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from infra.bench.drawing import Line, line_chart
from infra.bench.scenario_command import code_without_run, positive, scenario_parser
from infra.bench.watching.scenario import Scenario, read_scenario
from infra.bench.watching.scores import PERIODS, Score
from infra.bench.watching.world import POLICIES, run


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `--out` holds."""

    scenario: str
    days: int
    every: int
    scores: tuple[Score, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenario under every policy, write and print the scores; the exit code."""
    options = _parser().parse_args(arguments)
    code = code_without_run(options, "watching", Scenario)
    if code is not None:
        return code
    try:
        scenario = read_scenario(options.scenario)
    except (OSError, msgspec.MsgspecError) as error:
        print(f"watching: {options.scenario}: {error}", file=sys.stderr)
        return 2
    scores = tuple(run(scenario, name, options.every) for name in options.policies)
    report = Report(scenario=scenario.name, days=scenario.days, every=options.every, scores=scores)
    options.out.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    if options.plot is not None:
        options.plot.write_text(draw(report))
    _print(report)
    return 0


def draw(report: Report) -> str:
    """The share of the optimum over the days of the run, a line for each policy, as SVG."""
    width = report.days / PERIODS
    lines = [
        Line(
            each.policy,
            [
                ((number + 0.5) * width, share)
                for number, share in enumerate(each.share_by_period)
                if share is not None
            ],
        )
        for each in report.scores
    ]
    return line_chart(
        f"{report.scenario}: share of the best list's gain",
        lines,
        x_label="day",
        y_label="share of the optimum",
    )


def _parser() -> argparse.ArgumentParser:
    parser = scenario_parser("python -m infra.bench.watching", __doc__, POLICIES)
    parser.add_argument("--plot", type=Path, help="the share of the optimum over time, as SVG")
    parser.add_argument("--every", type=positive, default=4, help="score one in so many plays")
    return parser


def _print(report: Report) -> None:
    plays = report.scores[0].plays
    print(f"{report.scenario}: {plays:,} plays in {report.days} days")
    print(
        f"{'':10}{'share':>7}{'first':>7}{'last':>7}{'cold':>7}{'house':>7}{'new':>7}{'next':>7}"
        f"{'hits':>7}{'ended':>7}{'left':>7}{'shown':>7}{'ms p50':>8}"
    )
    for each in report.scores:
        shares = (
            each.share,
            each.share_by_period[0],
            each.share_by_period[-1],
            each.cold_share,
            each.household_share,
            each.new_title_share,
            each.next_episode_share,
            each.hit_ratio,
            each.completed_ratio,
            each.abandoned_ratio,
            each.coverage_ratio,
        )
        told = "".join(f"{'–' if share is None else f'{share:.3f}':>7}" for share in shares)
        print(f"{each.policy:10}{told}{each.recommend_ms_p50:8.2f}")


if __name__ == "__main__":
    sys.exit(main())
