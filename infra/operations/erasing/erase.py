"""`playhead accounts erase`: tells the owners, makes the rows nobody's, looks for what is left.

What is erased, and what stays as a pseudonym until its retention ends: docs/security.md.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec
from clickhouse_connect.driver.client import Client

from infra.clickhouse.client import open_client, parse_url, saying_why
from infra.deployment import Deployment
from infra.operations.erasing.personal import Personal, read_personal, stored_profiles
from infra.operations.erasing.proof import Proof, is_key_in_log, prove
from infra.operations.erasing.rows import COLUMNS, PersonalColumn, TableErasure, plan_rows
from infra.operations.erasing.segments import force_out
from infra.operations.log_access import SINK_GROUP
from infra.operations.operator import call_gateway
from streams.clock import system_clock
from streams.lag import read_lags
from streams.topics import ACCOUNT_KEYS

Say = Callable[[str], None]

QUIET_TIMEOUT_S: Final = 60.0
FORCE_TIMEOUT_S: Final = 180.0
LOOK_S: Final = 1.0
PASSES_MAX: Final = 5
"""Sessions that just ended are summed up once more while the first pass goes on."""
GROUPS: Final = ("fold", SINK_GROUP)
"""Who may still be about to store something of the account."""


class TableResult(msgspec.Struct, frozen=True, kw_only=True):
    """A table's rows of the account: as many are nobody's now as were the account's."""

    table: str
    rows_before: int
    rows_after: int = 0
    rows_left: int = 0

    @property
    def adds_up(self) -> bool:
        """Whether no row was lost and none is the account's any more."""
        return self.rows_after >= self.rows_before and not self.rows_left


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, and what was found after it; a dry run has the counts alone."""

    account_id: str
    is_dry_run: bool
    was_erased_before: bool
    """Then its address and names are not known any more, and cannot be looked for."""
    profiles: int
    tables: tuple[TableResult, ...]
    backups: tuple[str, ...]
    """Files under the home that were made before: each holds the account's key as it was then."""
    key_is_dropped: bool | None = None
    """From the broker's files; None: not waited for, it takes an hour and another account's key."""
    proof: Proof | None = None

    @property
    def is_proven(self) -> bool:
        """Whether nothing personal was found, and all rows add up."""
        is_clean = self.proof is not None and not self.proof.traces
        return is_clean and all(table.adds_up for table in self.tables)


async def erase_account(
    deployment: Deployment, account_id: str, *, dry_run: bool, waits: bool, say: Say
) -> Erasure:
    """Raises PlayheadError where there is no such account, or a place is away."""
    personal = await read_personal(deployment, account_id)
    url = deployment.reader_url() if dry_run else deployment.clickhouse_url()
    with saying_why(), closing(open_client(parse_url(url))) as client:
        stored = await asyncio.to_thread(stored_profiles, client, account_id)
        profiles = tuple(sorted({*personal.profile_ids, *stored}))
        personal = msgspec.structs.replace(personal, profile_ids=profiles)
        plans = await asyncio.to_thread(_plans, client, personal)
        erasure = Erasure(
            account_id=account_id,
            is_dry_run=dry_run,
            was_erased_before=personal.is_erased,
            profiles=len(profiles),
            tables=await asyncio.to_thread(_counted, client, plans),
            backups=_backups(deployment),
        )
        if dry_run:
            return erasure
        say("the agents let go of it")
        await _tell(deployment, personal)
        _take_mail(deployment.home / "outbox", personal)
        say("its rows are made nobody's")
        tables = await _rewritten(deployment, client, plans, erasure.tables)
    is_dropped = None
    if waits:
        say("the broker drops the destroyed key from its files")
        is_dropped = await _drop(deployment, personal)
    say("looking for what is left")
    return msgspec.structs.replace(
        erasure,
        tables=tables,
        key_is_dropped=is_dropped,
        proof=await prove(deployment, personal, key_may_lie_in_files=not is_dropped),
    )


async def _tell(deployment: Deployment, personal: Personal) -> None:
    """Through the gateway, as each agent alone writes what it owns. Done again it does no harm."""
    profiles = ",".join(personal.profile_ids)
    path = f"/v1/admin/accounts/{personal.account_id}?profile={profiles}"
    await call_gateway(deployment, "DELETE", path, "operator", {})


def _take_mail(outbox: Path, personal: Personal) -> None:
    """Password resets that no mailer took yet: each names the address."""
    for path in outbox.glob("*.json"):
        try:
            is_theirs = bool(personal.address) and personal.address in path.read_text()
        except OSError:
            continue  # a mailer took it just now
        if is_theirs:
            path.unlink(missing_ok=True)


def _plans(client: Client, personal: Personal) -> tuple[TableErasure, ...]:
    rows = client.query(COLUMNS).result_rows
    columns = [PersonalColumn(table=t, name=n, is_in_key=bool(k)) for t, n, k in rows]
    ids = {each: str(uuid.uuid4()) for each in (personal.account_id, *personal.profile_ids)}
    return plan_rows(columns, ids)


def _counted(client: Client, plans: tuple[TableErasure, ...]) -> tuple[TableResult, ...]:
    return tuple(
        TableResult(table=plan.table, rows_before=_count(client, plan.count_before))
        for plan in plans
    )


async def _rewritten(
    deployment: Deployment,
    client: Client,
    plans: tuple[TableErasure, ...],
    before: tuple[TableResult, ...],
) -> tuple[TableResult, ...]:
    """Until nothing of the account comes any more, or PASSES_MAX times."""
    left: dict[str, int] = {}
    for _ in range(PASSES_MAX):
        await _until_stored(deployment)
        for plan in plans:
            await asyncio.to_thread(_rewrite, client, plan)
        left = {p.table: await asyncio.to_thread(_count, client, p.count_before) for p in plans}
        if not any(left.values()):
            break
    after = {p.table: await asyncio.to_thread(_count, client, p.count_after) for p in plans}
    return tuple(
        msgspec.structs.replace(each, rows_after=after[each.table], rows_left=left[each.table])
        for each in before
    )


def _rewrite(client: Client, plan: TableErasure) -> None:
    client.command(plan.rewrite, settings={"mutations_sync": 2})


def _count(client: Client, query: str) -> int:
    return int(client.query(query).result_rows[0][0])


async def _until_stored(deployment: Deployment) -> None:
    """What is under way to the tables is in them, or QUIET_TIMEOUT_S has passed."""
    until_s = time.monotonic() + QUIET_TIMEOUT_S
    while time.monotonic() < until_s:
        lags = await read_lags(deployment.broker(), list(GROUPS), system_clock())
        if not any(lag.consumer_lag for lag in lags):
            return
        await asyncio.sleep(LOOK_S)


async def _drop(deployment: Deployment, personal: Personal) -> bool:
    async def tell_again() -> None:
        await _tell(deployment, personal)

    async def is_gone() -> bool:
        return not await is_key_in_log(deployment, personal)

    return await force_out(deployment, ACCOUNT_KEYS, tell_again, is_gone, timeout_s=FORCE_TIMEOUT_S)


def _backups(deployment: Deployment) -> tuple[str, ...]:
    return tuple(str(path) for path in sorted((deployment.home / "backups").glob("*.gz")))
