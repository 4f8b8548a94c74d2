"""Applies migrations, takes them back, and says how things stand. `playhead migrate` is this.

ClickHouse has no transactions for DDL, so a run may stop in the middle: every statement is
idempotent, the ledger is written after a migration's last statement, and the next run begins with
the one that did not end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec
from clickhouse_connect.driver.client import Client

from infra.clickhouse.migration_files import (
    Migration,
    MigrationError,
    Target,
    load_migrations,
    statements,
    variables,
)

State = Literal["applied", "pending", "changed", "unknown"]
_LEDGER_COLUMNS: Final = ("version", "name", "direction", "checksum", "applied_at", "duration_ms")


class MigrationStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How one migration stands.

    changed: its file is not the one that was applied; unknown: applied, but there is no such file
    here.
    """

    version: int
    name: str
    state: State
    applied_at: datetime | None
    can_be_taken_back: bool


class _LedgerRow(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    name: str
    checksum: str
    applied_at: datetime


def status(
    client: Client, database: str, *, migrations: Sequence[Migration] | None = None
) -> list[MigrationStatus]:
    """All migrations, of the files and of the ledger, in order."""
    known = {step.version: step for step in _given(migrations)}
    applied = _applied(client, database)
    return [
        _status(known.get(version), applied.get(version))
        for version in sorted(known.keys() | applied.keys())
    ]


def _status(step: Migration | None, row: _LedgerRow | None) -> MigrationStatus:
    named = step or row
    assert named is not None, "a version comes from one of the two"
    state: State = "pending"
    if row is not None:
        state = "unknown" if step is None else "applied"
        if step is not None and step.checksum != row.checksum:
            state = "changed"
    return MigrationStatus(
        version=named.version,
        name=named.name,
        state=state,
        applied_at=row.applied_at if row is not None else None,
        can_be_taken_back=step is not None and step.down is not None,
    )


def plan_up(
    client: Client, database: str, *, migrations: Sequence[Migration] | None = None
) -> list[Migration]:
    """What `migrate_up` would apply. Raises MigrationError where an applied file was changed."""
    applied = _applied(client, database)
    pending: list[Migration] = []
    for step in _given(migrations):
        row = applied.get(step.version)
        if row is None:
            pending.append(step)
        elif row.checksum != step.checksum:
            raise MigrationError(
                f"{step.title} was changed after it was applied, at {row.applied_at:%F %T} UTC:"
                " put it back as it was, and write a new migration"
            )
    return pending


def migrate_up(
    client: Client,
    database: str,
    *,
    target: Target | None = None,
    migrations: Sequence[Migration] | None = None,
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> list[Migration]:
    """Applies what is pending, in order; returns it. `client` is a writer's, and names no database
    that may not exist.

    Raises MigrationError for a changed file, DatabaseError of clickhouse_connect where a statement
    fails: the migrations before it stay applied.
    """
    values = variables(target or Target(database=database))
    pending = plan_up(client, database, migrations=migrations)
    for step in pending:
        _run(client, database, step, "up", statements(step.up, values), now_ms)
    return pending


def plan_down(
    client: Client,
    database: str,
    *,
    steps: int = 1,
    migrations: Sequence[Migration] | None = None,
) -> list[Migration]:
    """What `migrate_down` would take back, the newest first. Raises MigrationError where one has no
    way back.
    """
    known = {step.version: step for step in _given(migrations)}
    newest = sorted(_applied(client, database), reverse=True)[:steps]
    planned: list[Migration] = []
    for version in newest:
        step = known.get(version)
        if step is None or step.down is None:
            raise MigrationError(f"Migration {version:04d} has no file that takes it back")
        planned.append(step)
    return planned


def migrate_down(
    client: Client,
    database: str,
    *,
    steps: int = 1,
    target: Target | None = None,
    migrations: Sequence[Migration] | None = None,
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> list[Migration]:
    """Takes the last `steps` migrations back; returns them. What their tables held is lost."""
    values = variables(target or Target(database=database))
    planned = plan_down(client, database, steps=steps, migrations=migrations)
    for step in planned:
        _run(client, database, step, "down", statements(step.down or "", values), now_ms)
    return planned


def _given(migrations: Sequence[Migration] | None) -> Sequence[Migration]:
    return load_migrations() if migrations is None else migrations


def _run(
    client: Client,
    database: str,
    step: Migration,
    direction: Literal["up", "down"],
    texts: Sequence[str],
    now_ms: Callable[[], int],
) -> None:
    started_at_ms = now_ms()
    for text in texts:
        client.command(text)
    if not _has_ledger(client, database):
        return  # the first migration was taken back, and the ledger with it
    ended_at_ms = now_ms()
    applied_at = datetime.fromtimestamp(ended_at_ms / 1000, UTC)
    duration_ms = max(0, ended_at_ms - started_at_ms)
    row = (step.version, step.name, direction, step.checksum, applied_at, duration_ms)
    client.insert("migrations", [row], column_names=_LEDGER_COLUMNS, database=database)


def _has_ledger(client: Client, database: str) -> bool:
    statement = """
        SELECT count() FROM system.tables WHERE database = {database:String} AND name = 'migrations'
    """
    return bool(client.query(statement, parameters={"database": database}).result_rows[0][0])


def _applied(client: Client, database: str) -> dict[int, _LedgerRow]:
    """The last word of the ledger on each version that stands."""
    if not _has_ledger(client, database):
        return {}
    statement = """
        SELECT version, argMax(name, at), argMax(checksum, at), max(applied_at)
        FROM (SELECT *, (applied_at, direction) AS at FROM {database:Identifier}.migrations)
        GROUP BY version HAVING argMax(direction, at) = 'up'
    """
    rows = client.query(statement, parameters={"database": database}).result_rows
    return {
        version: _LedgerRow(
            version=version, name=name, checksum=_text(checksum), applied_at=applied_at
        )
        for version, name, checksum, applied_at in rows
    }


def _text(checksum: bytes | str) -> str:
    return checksum.decode("ascii") if isinstance(checksum, bytes) else checksum
