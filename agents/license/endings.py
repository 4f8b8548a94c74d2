"""Ends sessions that may not go on: signed out everywhere, or revoked. Within a second."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Final

from agents.license.ledger import Ledger, Running
from agents.license.plans import LicensePolicy
from agents.license.registrar import Registrar
from agents.license.revocations import Revocations
from agents.license.upkeep import cut_off
from agents.shell import ShellPorts
from schemas.accounts import Account
from schemas.errors import RetryableError
from schemas.revocations import Revocation

log = logging.getLogger(__name__)
LOOK_AGAIN_S: Final = 10
"""For accounts that this worker may have got from another one, which did not end them."""
NO_SESSIONS: Final = frozenset({"key", "token"})
"""Kinds whose sessions go on: without the key, or with a token that was issued later."""


class Endings:
    """Is told of every account and revocation; each worker ends the sessions of those it owns."""

    def __init__(
        self,
        ports: ShellPorts,
        ledger: Ledger,
        registrar: Registrar,
        policy: LicensePolicy,
        revocations: Revocations,
    ) -> None:
        self._ports = ports
        self._ledger = ledger
        self._registrar = registrar
        self._policy = policy
        self._revocations = revocations
        self._signed_out_at_ms: dict[str, int] = {}
        self._due: set[str] = set()
        """Accounts to be looked at."""
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin in the background; what was told before counts, too."""
        self._look_at(running.session.account_id for running in self._ledger.going())
        self._task = asyncio.create_task(self._end_for_ever(), name="license endings")

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def note_account(self, account: Account) -> None:
        """An account as it is now."""
        if account.signed_out_at_ms:
            self._signed_out_at_ms[account.account_id] = account.signed_out_at_ms
            self._look_at((account.account_id,))

    def note_revocation(self, revocation: Revocation) -> None:
        """A revocation that counts from now on."""
        if revocation.kind == "account":
            self._look_at((revocation.subject,))
        elif revocation.kind not in NO_SESSIONS:
            self._look_at(
                running.session.account_id
                for running in self._ledger.going()
                if self._revocations.of_session(running.session)
            )

    async def end_due(self) -> None:
        """End every session that may not go on, of the accounts that were told of."""
        others = set[str]()
        while self._due:
            account_id = self._due.pop()
            if self._registrar.owns(account_id):
                await self._end(account_id)
            elif self._over(account_id):
                others.add(account_id)
        self._due |= others

    def _look_at(self, account_ids: Iterable[str]) -> None:
        self._due.update(account_ids)
        self._woken.set()

    async def _end_for_ever(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN_S):
                    await self._woken.wait()
            self._woken.clear()
            try:
                await self.end_due()
            except RetryableError as error:
                self._ports.halt(error)
                return

    async def _end(self, account_id: str) -> None:
        for running, reason in self._over(account_id):
            decide = partial(cut_off, running, self._policy, reason=reason)
            await self._registrar.end(running, reason, decide)

    def _over(self, account_id: str) -> list[tuple[Running, str]]:
        """Its sessions that may not go on, and why."""
        signed_out_at_ms = self._signed_out_at_ms.get(account_id, 0)
        found = []
        for running in self._ledger.household(account_id).sessions.values():
            if running.is_ended:
                continue
            if running.session.opened_at_ms < signed_out_at_ms:
                found.append((running, "signed-out"))
            elif self._revocations.of_session(running.session) is not None:
                found.append((running, "revoked"))
        return found
