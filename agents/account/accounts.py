"""Every account in memory, as `accounts.v1` has it; opened only when a command needs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec.structs import replace

from agents.account.state import AccountState
from agents.account.vault import Vault
from schemas.accounts import Account, AccountEvent
from streams.records import Record


class Accounts:
    """The owner's memory. A version never goes back: an old record copied to the log is ignored."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._accounts: dict[str, Account] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._waiting: dict[str, int] = {}
        self._told: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._accounts)

    def take(self, record: Record[Account | None]) -> None:
        """A record of `accounts.v1`: at start, of another worker, or an echo of one's own."""
        if record.value is not None and record.value.account_id == record.key:
            self._keep(record.value)

    def load(self, account_id: str) -> AccountState | None:
        """The account, opened; None where there is none, or it was erased.

        Raises InvalidMessageError where another key sealed it.
        """
        account = self._accounts.get(account_id)
        if account is None or account.erased_at_ms is not None:
            return None
        return self._vault.open(account)

    def erased_version(self, account_id: str) -> int:
        """The version of the erased account of this id; 0 where there is none."""
        account = self._accounts.get(account_id)
        return 0 if account is None or account.erased_at_ms is None else account.version

    def store(self, state: AccountState, events: tuple[AccountEvent, ...] = ()) -> Account:
        """Keep the new state and what made it; give it sealed, as it is to be published."""
        account = replace(self._vault.seal(state), happened=events)
        self._keep(account)
        return account

    def untold(self, account_id: str) -> tuple[AccountEvent, ...]:
        """What made the newest version, where this process did not tell it itself.

        Whoever wrote that version may have ended before its events were in the log. They are told
        again, before the next version takes their place; readers count them once.
        """
        account = self._accounts.get(account_id)
        if account is None or self._told.get(account_id) == account.version:
            return ()
        return account.happened

    def told(self, account: Account) -> None:
        """The events of this version are in the log."""
        self._told[account.account_id] = account.version

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
