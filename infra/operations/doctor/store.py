"""ClickHouse: answers, has every migration, and takes inserts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from clickhouse_connect.driver.exceptions import ClickHouseError

from infra.clickhouse.client import open_client, parse_url
from infra.clickhouse.migrate import MigrationStatus, status
from infra.clickhouse.writer import without_password
from infra.deployment import Deployment
from infra.operations.doctor.finding import Finding, bad, good
from infra.operations.replay_replace import closed_tables


async def check_clickhouse(deployment: Deployment, _: int) -> list[Finding]:
    """A few queries as the writer, and the ledger of migrations."""
    try:
        url = deployment.clickhouse_url()
    except (FileNotFoundError, LookupError):
        return [bad("clickhouse", "no password of its writer here", "`make run` makes one")]
    where = without_password(url)
    try:
        version, migrations, closed = await asyncio.to_thread(_ask, url)
    except ClickHouseError as error:
        says = f"{where} does not answer: {str(error).strip().splitlines()[0][:200]}"
        return [bad("clickhouse", says, "`playhead status`: does it run? are URL and user right?")]
    answers = good("clickhouse", f"{version} at {where}")
    return [answers, judge_migrations(migrations), judge_tables(closed)]


def judge_migrations(migrations: Iterable[MigrationStatus]) -> Finding:
    """Pending ones are applied by a command; changed ones need a person."""
    steps = list(migrations)
    changed = [f"{step.version:04} {step.name}" for step in steps if step.state == "changed"]
    if changed:
        mend = "restore the file as it was applied, and write a new migration for the change"
        return bad("migrations", f"changed after they were applied: {', '.join(changed)}", mend)
    pending = [step for step in steps if step.state == "pending"]
    if pending:
        return bad("migrations", f"{len(pending)} pending", "playhead migrate up")
    unknown = [step for step in steps if step.state == "unknown"]
    if unknown:
        says = f"{len(unknown)} applied by a newer version of this program"
        return bad("migrations", says, "run that version, or take them back with it")
    return good("migrations", f"{len(steps)} applied")


def judge_tables(closed: Iterable[str]) -> Finding:
    """A table stays closed where a swap was killed in its middle."""
    names = ", ".join(closed)
    if names:
        says = f"{names} takes no inserts: a period of it is being swapped, or its swap was killed"
        mend = "if none runs (`playhead replay --list`): the same `playhead replay --replace` again"
        return bad("tables", says, mend)
    return good("tables", "take inserts")


def _ask(url: str) -> tuple[str, list[MigrationStatus], list[str]]:
    address = parse_url(url)
    client = open_client(address, with_database=False)
    try:
        return (
            str(client.server_version),
            status(client, address.database),
            closed_tables(client, address.database),
        )
    finally:
        client.close()
