"""What a run found, for machines and for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TextIO

import msgspec
from rich.console import Console
from rich.table import Table

from infra.faults.reconcile import Reconciled
from infra.faults.schedule import Kind
from infra.faults.strikes import Struck

PROMISES = (
    ("lost", "acknowledged events that are not there (I1)"),
    ("doubled", "identities with more than one row (I1, I3)"),
    ("phantoms", "rows that no client sent (I4)"),
    ("refused_stored", "refused events that are there (I2)"),
    ("altered", "events with another payload (I5)"),
    ("out_of_order", "order violations (I7)"),
    ("wrong_aggregates", "minutes whose aggregates differ from the events (I6)"),
    ("unaccounted", "records of the log without a place"),
    ("conflicts", "identities with two payloads"),
    ("poison_unburied", "poison records without a dead letter, or too many"),
    ("replay_added", "rows that a replay of everything added"),
    ("licenses_twice", "license requests decided twice (I8)"),
    ("licenses_unrecorded", "licenses delivered without a decision (I8)"),
    ("secrets_found", "secrets in a file, a log or a table (I9)"),
    ("beyond_memory", "components beyond their memory (I10)"),
    ("lagging", "records that a group never committed"),
    ("not_recovered", "faults that were not recovered from"),
    ("wrong_answers", "answers that no client should get"),
)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    seed: int
    began_at: str
    machine: str
    took_s: float
    load_s: float
    """While clients posted."""
    posts: int
    statuses: dict[int, int]
    """Of posts; 0: no answer."""
    faults: tuple[Struck, ...]
    reconciled: Reconciled
    peaks_mib: dict[str, int]
    verdict: str

    @property
    def is_clean(self) -> bool:
        """Whether every promise held."""
        return self.reconciled.findings.is_clean


def encode_report(report: Report) -> bytes:
    """As JSON."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"


def count_cells(faults: Iterable[Struck]) -> dict[str, Counter[Kind]]:
    """By place and kind, the faults that count."""
    cells: dict[str, Counter[Kind]] = {}
    for struck in faults:
        if struck.counts:
            cells.setdefault(struck.fault.place, Counter())[struck.fault.kind] += 1
    return cells


def print_report(report: Report, file: TextIO | None = None) -> None:
    """As tables."""
    console = Console(file=file, soft_wrap=True, width=120 if file is not None else None)
    found = report.reconciled
    counted = sum(struck.counts for struck in report.faults)
    console.print(f"seed {report.seed}, {report.machine}")
    console.print(
        f"{found.acked:,} events acknowledged of {found.sessions:,} sessions in"
        f" {report.load_s:.0f} s of load, {counted} of {len(report.faults)} faults count"
        f" (work was in flight), {report.took_s:.0f} s in all\n"
    )
    console.print(_cells(report))
    console.print(_promises(report))
    for example in found.examples:
        console.print(f"  {example}", markup=False)
    console.print(
        f"posts by status {report.statuses}; rejected {found.rejected:,}; doubtful at the end"
        f" {found.doubtful:,}, stored of them {found.doubtful_stored:,}"
    )
    console.print(f"totals {found.counts}")
    console.print(f"peak resident MiB {report.peaks_mib}")
    console.print(f"verdict: {report.verdict}")


def _cells(report: Report) -> Table:
    cells = count_cells(report.faults)
    kinds = list(dict.fromkeys(struck.fault.kind for struck in report.faults))
    table = Table(box=None, pad_edge=False, header_style="bold", title="faults that count")
    table.add_column("place")
    for kind in (*kinds, "longest recovery s"):
        table.add_column(kind, justify="right")
    for place, counts in cells.items():
        recoveries = [s.recovered_s or 0 for s in report.faults if s.fault.place == place]
        table.add_row(place, *(str(counts[k] or "") for k in kinds), f"{max(recoveries):.1f}")
    return table


def _promises(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("found", justify="right")
    table.add_column("what must be 0")
    for name, meaning in PROMISES:
        count = getattr(report.reconciled.findings, name)
        table.add_row(str(count), meaning, style="bold red" if count else None)
    return table
