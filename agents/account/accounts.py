"""Every account in memory, as `accounts.v1` has it; opened only when a command needs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agents.account.state import AccountState
from agents.account.vault import Vault
from schemas.accounts import Account
from streams.records import Record


class Accounts:
    """The owner's memory. A version never goes back: an old record copied to the log is ignored."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._accounts: dict[str, Account] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._waiting: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._accounts)

    def take(self, record: Record[Account | None]) -> None:
        """A record of `accounts.v1`: at start, of another worker, or an echo of one's own."""
        if record.value is not None and record.value.account_id == record.key:
            self._keep(record.value)

    def load(self, account_id: str) -> AccountState | None:
        """The account, opened; raises InvalidMessageError where another key sealed it."""
        account = self._accounts.get(account_id)
        return None if account is None else self._vault.open(account)

    def store(self, state: AccountState) -> Account:
        """Keep the new state and give it sealed, as it is to be published."""
        account = self._vault.seal(state)
        self._keep(account)
        return account

    def _keep(self, account: Account) -> None:
        known = self._accounts.get(account.account_id)
        if known is None or account.version > known.version:
            self._accounts[account.account_id] = account

    @asynccontextmanager
    async def in_turn(self, account_id: str) -> AsyncIterator[None]:
        """Commands of one account one after another, in the order in which they asked."""
        lock = self._locks.setdefault(account_id, asyncio.Lock())
        self._waiting[account_id] = self._waiting.get(account_id, 0) + 1
        try:
            async with lock:
                yield
        finally:
            self._waiting[account_id] -= 1
            if not self._waiting[account_id]:
                del self._waiting[account_id], self._locks[account_id]
