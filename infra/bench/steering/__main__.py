"""Scores policies on a scenario: `python -m infra.bench.steering --scenario FILE --out FILE`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec

from infra.bench.scenario_command import code_without_run, scenario_parser
from infra.bench.steering.scenario import Scenario, read_scenario
from infra.bench.steering.world import POLICIES, Score, run


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `--out` holds."""

    scenario: str
    viewers: int
    duration_s: int
    scores: tuple[Score, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenario under every policy, write the scores, print them; the exit code."""
    parser = scenario_parser("python -m infra.bench.steering", __doc__, POLICIES)
    options = parser.parse_args(arguments)
    code = code_without_run(options, "steering", Scenario)
    if code is not None:
        return code
    try:
        scenario = read_scenario(options.scenario)
        scores = tuple(run(scenario, name, options.scenario.parent) for name in options.policies)
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        print(f"steering: {error}", file=sys.stderr)
        return 2
    report = Report(
        scenario=scenario.name,
        viewers=sum(crowd.viewers for crowd in scenario.crowds),
        duration_s=scenario.duration_s,
        scores=scores,
    )
    options.out.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    _print(report)
    return 0


def _print(report: Report) -> None:
    print(f"{report.scenario}: {report.viewers:,} viewers, {report.duration_s} s")
    print(
        f"{'':12}{'stalled':>10}{'in faults':>10}{'overloaded':>11}{'it fits':>8}{'cost':>9}"
        f"{'of best':>8}{'kbit/s':>8}{'moves':>7}{'left after':>12}{'speed':>7}"
    )
    for each in report.scores:
        ratio = each.cost / each.cost_of_optimum if each.cost_of_optimum else 1.0
        left = ", ".join("never" if s is None else f"{s:.0f} s" for s in each.leaving_s)
        print(
            f"{each.policy:12}{each.stalled_s:9.0f}s{each.stalled_in_faults_s:9.0f}s"
            f"{sum(each.overloaded_minutes.values()):11}{each.overloaded_minutes_where_it_fits:8}"
            f"{each.cost:9.2f}{ratio:8.3f}{each.mean_kbps:8.0f}{each.moves_per_viewer:7.2f}"
            f"{left:>12}{each.seconds_per_second:6.0f}x"
        )


if __name__ == "__main__":
    sys.exit(main())
