"""What happened to an account, read from the log."""

from __future__ import annotations

from agents.account.history import History, history_of
from infra.deployment import Deployment
from infra.operations.households import read_accounts, read_all
from schemas.accounts import AccountEvent
from streams.records import Record
from streams.topics import ACCOUNT_EVENTS


async def read_account_history(deployment: Deployment, account_id: str, at_ms: int) -> History:
    """Up to a moment. The whole topic is read: it is kept for ever, and has no index."""
    events: list[AccountEvent] = []

    def take(record: Record[AccountEvent | None]) -> None:
        if record.value is not None and record.value.account_id == record.key == account_id:
            events.append(record.value)

    await read_all(deployment, ACCOUNT_EVENTS, take)
    account = (await read_accounts(deployment)).get(account_id)
    if account is not None:  # what made the newest version may not have been told yet
        events += account.happened
    return history_of(events, at_ms)
