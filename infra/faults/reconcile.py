"""The clients' ledger against what is stored, as sets, session by session.

I1 acknowledged and stored once, I2 refused and absent, I3 doubtful at most once, I4 nothing that
nobody sent, I5 payloads as they were sent, I6 aggregates as recomputed, I7 complete and in order,
I8 licenses; every record of the log is accounted for.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from infra.faults.ledger import Account, ClientLedger, read_accounts
from infra.faults.payloads import SOURCE
from infra.faults.questions import (
    COUNTS,
    LICENSES,
    OF_SESSIONS,
    SESSIONS,
    SESSIONS_AT_ONCE,
    WRONG_AGGREGATES,
    Questions,
)

EXAMPLES_MAX = 20


class Row(NamedTuple):
    """An event as ClickHouse has it."""

    source: str
    sequence: int
    id: str
    digest: str
    topic: str
    partition: int
    offset: int


class Findings(msgspec.Struct, kw_only=True):
    """Counts that must be zero."""

    lost: int = 0
    """Acknowledged, and not there."""
    doubled: int = 0
    """More than one row of an identity."""
    phantoms: int = 0
    """Rows that no client sent."""
    refused_stored: int = 0
    altered: int = 0
    """Another id or payload than was sent."""
    out_of_order: int = 0
    """Of orderly sessions: a later event before an earlier one in the log."""
    wrong_aggregates: int = 0
    """Minutes in which a materialized view differs from the events."""
    conflicts: int = 0
    unaccounted: int = 0
    """Records of the log that are neither row, nor set aside, nor dead letter; or too many."""
    poison_unburied: int = 0
    licenses_twice: int = 0
    """Requests that were decided more than once."""
    licenses_unrecorded: int = 0
    """Delivered without a decision."""
    secrets_found: int = 0
    """Keys, tokens and passwords that stand in a file or a table."""
    lagging: int = 0
    """Records that a consumer group never committed."""
    not_recovered: int = 0
    """Faults after which the deployment did not come back in time."""
    beyond_memory: int = 0
    """Components that grew beyond their bound."""
    wrong_answers: int = 0
    """Answers that no client should get."""
    replay_added: int = 0
    """Rows that a replay of everything added although nothing was missing."""

    @property
    def is_clean(self) -> bool:
        """Whether every promise held."""
        return not any(msgspec.structs.astuple(self))


class Reconciled(msgspec.Struct, kw_only=True):
    """What was compared, and what was found."""

    sessions: int = 0
    acked: int = 0
    rejected: int = 0
    doubtful: int = 0
    doubtful_stored: int = 0
    findings: Findings = msgspec.field(default_factory=Findings)
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    examples: list[str] = msgspec.field(default_factory=list)

    def note(self, text: str) -> None:
        """Keep a few, for who looks for the reason."""
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(text)


async def reconcile(
    questions: Questions, ledger: ClientLedger, folder: Path, *, poison_count: int
) -> Reconciled:
    """Compare everything; nothing may be sent meanwhile."""
    result = Reconciled()
    known: set[str] = set()
    accounts = read_accounts(ledger.path, folder)
    while group := dict(await asyncio.to_thread(lambda: list(islice(accounts, SESSIONS_AT_ONCE)))):
        known |= group.keys()
        rows = await questions.ask(OF_SESSIONS, sessions=list(group))
        compare(result, group, rows)
    strangers = {row[0] for row in await questions.ask(SESSIONS)} - known
    result.findings.phantoms += len(strangers)
    await compare_totals(questions, result, poison_count)
    return result


def compare(
    result: Reconciled, accounts: Mapping[str, Account], rows: Iterable[Sequence[Any]]
) -> None:
    """Add what these sessions' rows tell."""
    stored: dict[str, list[Row]] = defaultdict(list)
    for session_id, *values in rows:
        stored[session_id].append(Row(*values))
    for session_id, account in accounts.items():
        result.sessions += 1
        compare_session(result, session_id, account, stored[session_id])


def compare_session(
    result: Reconciled, session_id: str, account: Account, rows: Sequence[Row]
) -> None:
    """I1 to I5 and I7 of one session."""
    findings = result.findings
    sent = {**account.doubtful, **account.acked}
    counted = Counter((row.source, row.sequence) for row in rows)
    result.acked += len(account.acked)
    result.rejected += len(account.rejected)
    result.doubtful += len(account.doubtful)
    result.doubtful_stored += sum((SOURCE, number) in counted for number in account.doubtful)
    for sequence in account.acked:
        if (SOURCE, sequence) not in counted:
            findings.lost += 1
            result.note(f"lost: {session_id} {sequence}")
    for identity, count in counted.items():
        if count > 1:
            findings.doubled += count - 1
            result.note(f"doubled: {session_id} {identity}")
    for row in rows:
        event = sent.get(row.sequence) if row.source == SOURCE else None
        if event is not None:
            if (event.id, event.digest) != (row.id, row.digest):
                findings.altered += 1
                result.note(f"altered: {session_id} {row.sequence}")
        elif row.source == SOURCE and row.sequence in account.rejected:
            findings.refused_stored += 1
        else:
            findings.phantoms += 1
            result.note(f"phantom: {session_id} {row.source} {row.sequence}")
    if account.is_orderly:
        findings.out_of_order += count_disorder(rows)


def count_disorder(rows: Iterable[Row]) -> int:
    """Neighbors in sequence whose order in the log is the other way round, by partition."""
    last: dict[tuple[str, int], int] = {}
    disorder = 0
    for row in sorted(rows, key=lambda each: each.sequence):
        place = (row.topic, row.partition)
        disorder += row.offset < last.get(place, -1)
        last[place] = row.offset
    return disorder


async def compare_totals(questions: Questions, result: Reconciled, poison_count: int) -> None:
    """I6 over everything, and the account of the log; replaces what was found before."""
    result.counts |= {name: await questions.number(sql) for name, sql in COUNTS.items()}
    result.counts["records"] = await questions.records()
    findings, counts = result.findings, result.counts
    findings.wrong_aggregates = 0
    for name, sql in WRONG_AGGREGATES.items():
        for topic, minute, difference in await questions.ask(sql):
            findings.wrong_aggregates += 1
            result.note(f"{name} {topic} {minute}: {difference:+d} rows")
    findings.conflicts = counts["conflicts"]
    placed = counts["rows"] + counts["set_aside"] + counts["dead_letters"]
    findings.unaccounted = abs(counts["records"] - placed)
    findings.poison_unburied = abs(poison_count - counts["dead_letters"])


async def compare_licenses(
    questions: Questions, result: Reconciled, delivered: Mapping[str, int]
) -> None:
    """I8: one decision a request, and none delivered without one."""
    granted: dict[str, int] = {}
    twice = 0
    for session_id, decisions, _, requests in await questions.ask(LICENSES):
        granted[session_id] = requests
        twice += decisions - requests
    result.counts["licenses_granted"] = sum(granted.values())
    result.counts["licenses_delivered"] = sum(delivered.values())
    result.findings.licenses_twice = twice
    result.findings.licenses_unrecorded = sum(
        max(0, count - granted.get(session_id, 0)) for session_id, count in delivered.items()
    )
