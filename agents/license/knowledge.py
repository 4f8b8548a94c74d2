"""What the license agent knows of accounts, titles and revocations: versions never go back.

A record's MAC shows that its owner wrote it, not that it is the newest: who can write to Kafka
could copy an older one (a subscription that still ran) behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, Protocol, TypeVar

from agents.license.decisions import Knowledge
from agents.license.keys import KeyRing
from agents.license.plans import LicensePolicy
from agents.license.revocations import Revocations
from agents.shell import ShellPorts
from schemas.accounts import Account
from schemas.catalog import Title
from schemas.revocations import Revocation
from streams.records import Record
from streams.topic import Topic
from streams.topics import ACCOUNTS, CATALOG_TITLES, REVOCATIONS
from streams.view import View


class Versioned(Protocol):
    """What counts its owner's changes."""

    @property
    def version(self) -> int:
        """Higher is newer."""


V = TypeVar("V", bound=Versioned)


class Newest(Mapping[str, V], Generic[V]):
    """The newest version of each key."""

    def __init__(self) -> None:
        self._values: dict[str, V] = {}

    def take(self, record: Record[V | None]) -> None:
        """A record of the owner's topic; None removes."""
        if record.value is None:
            self._values.pop(record.key, None)
            return
        known = self._values.get(record.key)
        if known is None or record.value.version >= known.version:
            self._values[record.key] = record.value

    def __getitem__(self, key: str) -> V:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class KnowledgeViews:
    """Accounts, titles and revocations, each followed to the end of its topic; of keys only whose
    they are."""

    def __init__(
        self,
        ports: ShellPorts,
        policy: LicensePolicy,
        keys: KeyRing,
        revocations: Revocations,
        *,
        on_account: Callable[[Account], None],
        on_revocation: Callable[[Revocation], None],
    ) -> None:
        self._on_account = on_account
        self._on_revocation = on_revocation
        self._revocations = revocations
        self._policy = policy
        self._keys = keys
        self._accounts: Newest[Account] = Newest()
        self._titles: Newest[Title] = Newest()
        self._accounts_view = follow(ports, ACCOUNTS, self._take_account)
        self._views = (
            self._accounts_view,
            follow(ports, CATALOG_TITLES, self._titles.take),
            follow(ports, REVOCATIONS, self._take_revocation),
        )

    async def start(self) -> None:
        """Read all of it."""
        for view in self._views:
            await view.start()

    async def stop(self) -> None:
        """Stop following."""
        for view in self._views:
            await view.stop()

    def _take_account(self, record: Record[Account | None]) -> None:
        self._accounts.take(record)
        account = self._accounts.get(record.key)
        if account is not None:
            self._on_account(account)

    def _take_revocation(self, record: Record[Revocation | None]) -> None:
        self._revocations.take(record)
        if record.value is not None:
            self._on_revocation(record.value)

    def account(self, account_id: str) -> Account | None:
        """The newest that is known, however old."""
        return self._accounts.get(account_id)

    def about(
        self, account_id: str, *, version_min: int = 0, key_ids: tuple[str, ...] = ()
    ) -> Knowledge:
        """What may be decided on now: no account where what is known of anything is too old."""
        account = self.account(account_id)
        is_stale = any(view.age_ms() > self._policy.view_age_ms_max for view in self._views)
        if account is not None and (is_stale or account.version < version_min):
            account = None
        return Knowledge(
            policy=self._policy,
            account=account,
            titles=self._titles,
            key_tiers=self._keys.places(key_ids),
            revocations=self._revocations,
        )

    async def wait_for_account(self, account_id: str, version_min: int, timeout_ms: int) -> None:
        """Until the account is as new as an access token says, or the time is over."""

        def is_known() -> bool:
            account = self.account(account_id)
            return account is not None and account.version >= version_min

        await self._accounts_view.wait_until(is_known, max(0, timeout_ms))


def follow(
    ports: ShellPorts,
    topic: Topic,
    take: Callable[[Record[Any]], None],
    *,
    may_lag: bool = False,
) -> View[Any]:
    """A view that only calls `take`."""
    return View(
        ports.broker,
        topic,
        clock=ports.clock,
        state_key=ports.state_key,
        on_record=take,
        keep=False,
        may_lag=may_lag,
    )
