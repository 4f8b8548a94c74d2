"""`playhead license audit`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click
import msgspec

from infra.cli.output import json_option, print_rows
from infra.cli.progress import progress_bar
from infra.deployment import Deployment
from infra.files import write_whole
from infra.operations.audit.checkpoint import Checkpoint, read_checkpoint, sign_checkpoint
from infra.operations.audit.verify import Audited, AuditReport, PlaceReport, audit_decisions
from infra.operations.moments import instant
from infra.operations.operator import require_keys
from infra.settings import load_settings
from streams.clock import system_clock

WHAT_TO_DO = """
What to do: nobody but the license agent writes these records, so keep everything as it is first.
  in the table alone: the log is the truth. Find out who has a writer's password of ClickHouse.
    Missing rows come back by `playhead replay license.decisions.v1`; changed and added ones after
    ALTER TABLE decisions_raw DELETE WHERE topic = 'license.decisions.v1'
      AND kafka_partition = ... AND kafka_offset = ...
  in the log: somebody had the broker's disk and the agents' keys. Hold it against the table and a
    backup before anything is restored; where a MAC is wrong, take it that the broker's credentials
    are known to others.
"""


@click.group("audit")
def audit() -> None:
    """Whether the record of license decisions is whole: the hash chain, MACs, checkpoints.

    Example: playhead license audit verify
    """


@audit.command("verify")
@click.option(
    "--checkpoint",
    "file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Also hold it against this checkpoint: finds an end that was cut off.",
)
@click.option("--log-only", is_flag=True, help="Leave ClickHouse out.")
@json_option
def verify(file: Path | None, log_only: bool, as_json: bool) -> None:
    """Find decisions that were changed, taken away or added, in Kafka or in ClickHouse.

    Exit code 1 where one was, with the place of the first.

    Example: playhead license audit verify --checkpoint audit-2026-11.json
    """
    deployment = Deployment(settings=load_settings())
    checkpoint = _read(deployment, file) if file is not None else None
    report = _audit(deployment, checkpoint, reads_table=not log_only).report
    if as_json:
        click.echo(msgspec.json.encode(report))
    else:
        _print(report)
    if not report.is_whole:
        sys.exit(1)


@audit.command("checkpoint")
@click.option("--out", type=click.Path(path_type=Path), help="A file; default: standard output.")
def checkpoint(out: Path | None) -> None:
    """Print a signed word on how far the decisions reach; keep it where nobody here can write.

    The log is verified first: what is broken is not signed (exit code 1).

    Example: playhead license audit checkpoint > /mnt/elsewhere/audit-$(date +%F).json
    """
    deployment = Deployment(settings=load_settings())
    audited = _audit(deployment, None, reads_table=False)
    if not audited.report.is_whole:
        click.echo("no checkpoint: the record is broken", err=True)
        _print(audited.report)
        sys.exit(1)
    keys = require_keys(deployment)
    signed = sign_checkpoint(
        keys.root(),
        keys.identity("operator"),
        audited.anchors,
        namespace=deployment.settings.namespace,
        now_ms=system_clock(),
    )
    content = msgspec.json.format(msgspec.json.encode(signed), indent=1) + b"\n"
    if out is None:
        click.echo(content, nl=False)
        return
    write_whole(out, content)
    count = sum(anchor.count for anchor in audited.anchors)
    click.echo(f"{out}: {count:,} decisions in {len(audited.anchors)} partitions")


def _read(deployment: Deployment, file: Path) -> Checkpoint:
    root = require_keys(deployment).root_public()
    return read_checkpoint(file, root, namespace=deployment.settings.namespace)


def _audit(deployment: Deployment, checkpoint: Checkpoint | None, *, reads_table: bool) -> Audited:
    with progress_bar() as bar:
        task = bar.add_task("decisions", total=None)
        return asyncio.run(
            audit_decisions(
                deployment,
                now_ms=system_clock(),
                checkpoint=checkpoint,
                reads_table=reads_table,
                on_progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        )


def _print(report: AuditReport) -> None:
    click.echo(_told("Kafka", report.log))
    if report.table is not None:
        click.echo(_told("ClickHouse", report.table))
    click.echo(f"{report.granted:,} granted, {report.denied:,} denied")
    if report.void:
        click.echo(f"{report.void:,} never counted: of two workers another was first")
    if report.waiting:
        click.echo(f"{report.waiting:,} are not stored in ClickHouse yet (`playhead lag`)")
    if report.expired:
        click.echo(f"{report.expired:,} stand in one of the two alone: retention took the other")
    if report.checkpoint_at_ms is not None:
        expired = report.anchors_expired
        said = f", in {expired} partitions older than what is kept" if expired else ""
        click.echo(f"held against the checkpoint of {instant(report.checkpoint_at_ms)}{said}")
    if report.is_whole:
        click.echo("whole: nothing was changed, taken away or added")
        return
    first = report.breaks[0]
    click.echo(
        f"\nBROKEN in {report.break_count:,} places; the first is partition {first.partition},"
        f" offset {first.offset} of the {first.where}\n"
    )
    print_rows(
        ("place", "partition", "offsets", "what", "why"),
        (
            (b.where, b.partition, _span(b.offset, b.until_offset), b.kind, b.detail)
            for b in report.breaks
        ),
    )
    click.echo(WHAT_TO_DO)


def _told(name: str, place: PlaceReport) -> str:
    since = f" since {instant(place.oldest_at_ms)}" if place.oldest_at_ms is not None else ""
    gone = len(place.removed_before)
    said = f"; retention removed earlier ones in {gone} partitions" if gone else ""
    return f"{name}: {place.decisions:,} decisions{since}{said}"


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"
