"""`playhead license simulate`: who would gain or lose by another policy."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

import click
import msgspec

from infra.cli.license_policy import POLICY_FILE
from infra.cli.main import FAILED
from infra.cli.output import json_option, print_rows
from infra.cli.progress import progress_bar
from infra.deployment import Deployment
from infra.operations.replay import window_of
from infra.operations.shadow.policy import Changes, PolicyReport
from infra.operations.shadowing import simulate
from infra.policies import read_policy_file
from infra.settings import load_settings
from streams.clock import system_clock
from streams.topics import LICENSE_DECISIONS

_CHANGES = Changes.__struct_fields__


@click.command("simulate")
@click.argument("file", type=POLICY_FILE)
@click.option("--from", "start", metavar="TIME|OFFSET", help="Since 7d, a time, or an offset.")
@click.option("--to", "end", metavar="TIME|OFFSET", help="Up to, without.")
@click.option(
    "--limit",
    default=20,
    show_default=True,
    type=click.IntRange(0, 100_000),
    help="Rows of the tables of titles and accounts.",
)
@click.option(
    "--fail-on-loss",
    is_flag=True,
    help="Exit code 1 where anybody would lose, or cannot be judged.",
)
@json_option
def simulate_command(
    file: Path, start: str | None, end: str | None, limit: int, fail_on_loss: bool, as_json: bool
) -> None:
    """Judge past decisions again under the policy of FILE; nothing is issued or written.

    Each is judged by the facts that it carries. `undecided` are those that lack one.
    Example: playhead license simulate policy.toml --from 7d
    """
    policy = read_policy_file(file)
    window = window_of(start, end, system_clock())
    with progress_bar() as bar:
        task = bar.add_task(LICENSE_DECISIONS.name, total=None)
        report = asyncio.run(
            simulate(
                Deployment(settings=load_settings()),
                policy,
                window,
                on_progress=lambda r: bar.update(task, total=r.total, completed=r.read),
            )
        )
    if as_json:
        click.echo(msgspec.json.encode(report))
    else:
        _print(report, limit)
        if any(t.rental_ms or t.playback_ms for t in (policy.terms, *policy.titles.values())):
            click.echo("\nrentals are taken to begin at the first sight within the window")
    if fail_on_loss and report.has_losses:
        sys.exit(FAILED)


def _print(report: PolicyReport, limit: int) -> None:
    versions = ", ".join(f"{name} ({count})" for name, count in report.policy_versions.items())
    click.echo(
        f"{report.read} decisions read: {report.same} would be the same, "
        f"{report.changes.total} others, {report.outside} are no policy's, "
        f"{report.unreadable} unreadable"
    )
    if report.void:
        click.echo(f"{report.void} never counted: of two workers another was first")
    click.echo(f"policy {report.policy_version}; followed then: {versions or 'none'}\n")
    print_rows(
        ("of", *_CHANGES),
        [("decisions", *_row(report.changes)), ("accounts", *_row(report.accounts))],
    )
    for title, subjects in (
        ("rule", report.by_rule),
        ("title", report.by_title),
        ("account", report.by_account),
    ):
        _print_subjects(title, subjects, limit)
    if report.stopped:
        click.echo(f"\n{report.stopped} sessions would have ended to make room for others")
    if report.lacking:
        lacking = ", ".join(f"{name} ({count})" for name, count in report.lacking.items())
        click.echo(f"\nundecided for want of: {lacking}")


def _print_subjects(title: str, subjects: Mapping[str, Changes], limit: int) -> None:
    shown = list(subjects.items())[:limit]
    if not shown:
        return
    click.echo()
    print_rows((title, *_CHANGES), ((name, *_row(changes)) for name, changes in shown))
    if len(shown) < len(subjects):
        click.echo(f"and {len(subjects) - len(shown)} more; --limit shows them, --json has all")


def _row(changes: Changes) -> list[int]:
    return [getattr(changes, name) for name in _CHANGES]
