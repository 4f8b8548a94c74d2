"""Accounts, titles and slots as the license agent sees them, read from the log by its own rules."""

from __future__ import annotations

from typing import Any

import msgspec

from agents.license.chain import Chain
from agents.license.ledger import Household, Ledger
from agents.license.plans import POLICY
from agents.license.policy import PlayFacts, RuleFinding, Verdict, explain, judge
from infra.deployment import Deployment
from infra.operations.log_access import read_newest, saying_why
from infra.operations.operator import require_keys
from schemas.accounts import Account
from schemas.catalog import Title
from schemas.errors import PlayheadError
from schemas.licenses import LicenseDecision
from schemas.sessions import Device, Lease, RegisteredDevice, Session
from streams.clock import system_clock
from streams.records import Record
from streams.topics import ACCOUNTS, CATALOG_TITLES, LICENSE_DECISIONS, SESSION_LEASES, Topic
from streams.view import View


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What a request to open a session would come to now, rule by rule."""

    verdict: Verdict
    findings: tuple[RuleFinding, ...]


class HouseholdView(msgspec.Struct, frozen=True, kw_only=True):
    """An account with its devices and the sessions that hold its slots."""

    account: Account
    devices: tuple[RegisteredDevice, ...]
    sessions: tuple[Session, ...]


class AuditResult(msgspec.Struct, frozen=True, kw_only=True):
    """The audit chain of `license.decisions.v1`, partition by partition."""

    decisions: int
    granted: int
    denied: int
    broken: tuple[str, ...]
    """`partition/offset` of decisions that do not follow the one before them."""
    unreadable: int
    """Records whose MAC is wrong, or that are no decision: somebody else wrote them."""


async def read_accounts(deployment: Deployment) -> dict[str, Account]:
    """Every account."""
    require_keys(deployment)
    return await read_newest(deployment, ACCOUNTS)


async def read_titles(deployment: Deployment) -> dict[str, Title]:
    """Every title of the catalog, listed or not."""
    require_keys(deployment)
    return await read_newest(deployment, CATALOG_TITLES)


async def read_household(deployment: Deployment, account_id: str, now_ms: int) -> HouseholdView:
    """Raises PlayheadError where there is no such account."""
    account = (await read_accounts(deployment)).get(account_id)
    if account is None:
        raise PlayheadError(f"there is no account {account_id}")
    ledger = await _fold_ledger(deployment, account_id)
    household = ledger.household(account_id)
    return HouseholdView(
        account=msgspec.structs.replace(account, sealed=b""),
        devices=tuple(household.devices.values()),
        sessions=tuple(_running(ledger, household, account_id, now_ms)),
    )


async def explain_license(
    deployment: Deployment,
    account_id: str,
    content_id: str,
    device: Device,
    *,
    profile_id: str | None,
    region: str,
    now_ms: int,
) -> Explanation:
    """Judge by the agent's policy on what the log says now; nothing is asked and nothing taken.

    Without a profile the account's first one is meant.
    """
    account = (await read_accounts(deployment)).get(account_id)
    title = (await read_titles(deployment)).get(content_id)
    ledger = await _fold_ledger(deployment, account_id)
    first = account.profiles[0].profile_id if account is not None and account.profiles else ""
    facts = PlayFacts(
        now_ms=now_ms,
        policy=POLICY,
        account=account,
        profile_id=profile_id or first,
        title=title,
        device=device,
        region=region,
        known_device_ids=frozenset(ledger.household(account_id).devices),
        other_session_ids=ledger.slots(account_id, now_ms),
    )
    return Explanation(verdict=judge(facts), findings=explain(facts))


async def audit_decisions(deployment: Deployment) -> AuditResult:
    """Follow the hash chain of every partition from the oldest decision that is kept."""
    chain = Chain()
    outcomes = {"granted": 0, "denied": 0}
    broken: list[str] = []

    def take(record: Record[LicenseDecision | None]) -> None:
        if record.value is None:
            return
        outcomes[record.value.outcome] += 1
        if not chain.follow(record.value, record.partition):
            broken.append(f"{record.partition}/{record.offset}")

    view = await _read_all(deployment, LICENSE_DECISIONS, take)
    return AuditResult(
        decisions=sum(outcomes.values()),
        granted=outcomes["granted"],
        denied=outcomes["denied"],
        broken=tuple(broken),
        unreadable=view.skipped,
    )


async def _fold_ledger(deployment: Deployment, account_id: str) -> Ledger:
    """The agent's own fold of decisions, then leases, for one account."""
    ledger = Ledger(lease_ms=POLICY.lease_ms)

    def decided(record: Record[LicenseDecision | None]) -> None:
        if record.value is not None and record.value.account_id == record.key == account_id:
            ledger.apply(record.value)

    def renewed(record: Record[Lease | None]) -> None:
        if record.value is not None and record.value.account_id == record.key == account_id:
            ledger.renew(record.value, record.timestamp_ms)

    await _read_all(deployment, LICENSE_DECISIONS, decided)
    await _read_all(deployment, SESSION_LEASES, renewed)
    return ledger


async def _read_all(deployment: Deployment, topic: Topic, take: Any) -> View[Any]:
    state_key = require_keys(deployment).state_key() if topic.is_authenticated else None
    view: View[Any] = View(
        deployment.broker(),
        topic,
        clock=system_clock,
        state_key=state_key,
        on_record=take,
        keep=False,
    )
    with saying_why(deployment.broker()):
        try:
            await view.start()
        finally:
            await view.stop()
    return view


def _running(ledger: Ledger, household: Household, account_id: str, now_ms: int) -> list[Session]:
    return [household.sessions[each].session for each in ledger.slots(account_id, now_ms)]
