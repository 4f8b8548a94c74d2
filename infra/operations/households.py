"""Accounts, titles and slots as the license agent sees them, read from the log by its own rules."""

from __future__ import annotations

from typing import Any

import msgspec

from agents.license.cases import PlayFacts
from agents.license.ledger import Household, Ledger
from agents.license.plans import LicensePolicy
from agents.license.policy import RuleFinding, Verdict, explain, judge
from infra.deployment import Deployment
from infra.operations.log_access import read_newest, saying_why
from infra.operations.operator import require_keys
from infra.operations.revoking import folded, read_revocations
from infra.policies import policy_in_force
from schemas.accounts import Account
from schemas.catalog import Title
from schemas.errors import PlayheadError
from schemas.licenses import LicenseDecision
from schemas.sessions import Anonymizer, Device, Lease, RegisteredDevice, Session
from streams.chain import Chain, Standing
from streams.clock import system_clock
from streams.records import Record
from streams.topic import Topic
from streams.topics import ACCOUNTS, CATALOG_TITLES, LICENSE_DECISIONS, SESSION_LEASES
from streams.view import View


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What a request to open a session would come to now, rule by rule."""

    policy_version: str
    verdict: Verdict
    findings: tuple[RuleFinding, ...]


class HouseholdView(msgspec.Struct, frozen=True, kw_only=True):
    """An account with its devices and the sessions that hold its slots."""

    account: Account
    devices: tuple[RegisteredDevice, ...]
    sessions: tuple[Session, ...]


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
    ledger = await _fold_ledger(deployment, account_id, policy_in_force(deployment.settings))
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
    policy: LicensePolicy,
    profile_id: str | None,
    region: str,
    anonymizers: tuple[Anonymizer, ...] | None,
    now_ms: int,
) -> Explanation:
    """Judge by the policy on what the log says now; nothing is asked and nothing taken.

    Without a profile the account's first one is meant. What is not said of the device is as it was
    registered.
    """
    account = (await read_accounts(deployment)).get(account_id)
    title = (await read_titles(deployment)).get(content_id)
    revocations = folded(await read_revocations(deployment))
    ledger = await _fold_ledger(deployment, account_id, policy)
    as_registered = _as_registered(device, ledger.household(account_id))
    first = account.profiles[0].profile_id if account is not None and account.profiles else ""
    facts = PlayFacts(
        now_ms=now_ms,
        policy=policy,
        account=account,
        profile_id=profile_id or first,
        title=title,
        device=as_registered,
        region=region,
        anonymizers=anonymizers,
        known_device_ids=frozenset(ledger.household(account_id).devices),
        registered_public_key=ledger.public_key(account_id, device.device_id),
        other_session_ids=ledger.slots(account_id, now_ms),
        rental=ledger.rental(account_id, content_id),
        revoked=revocations.of_viewer(account_id, as_registered),
    )
    return Explanation(policy_version=policy.version, verdict=judge(facts), findings=explain(facts))


def _as_registered(device: Device, household: Household) -> Device:
    known = household.devices.get(device.device_id)
    if known is None:
        return device
    return msgspec.structs.replace(
        device,
        model=device.model or known.model,
        os=device.os or known.os,
        public_key=device.public_key or known.public_key,
    )


async def _fold_ledger(deployment: Deployment, account_id: str, policy: LicensePolicy) -> Ledger:
    """The agent's own fold of decisions, then leases, for one account."""
    ledger, chain = Ledger(lease_ms=policy.lease_ms), Chain()

    def decided(record: Record[LicenseDecision | None]) -> None:
        decision = record.value
        if decision is None or decision.account_id != record.key:
            return
        standing = chain.follow(decision, record.partition, record.offset)
        if standing is not Standing.VOID and decision.account_id == account_id:
            ledger.apply(decision)

    def renewed(record: Record[Lease | None]) -> None:
        if record.value is not None and record.value.account_id == record.key == account_id:
            ledger.renew(record.value, record.timestamp_ms)

    await read_all(deployment, LICENSE_DECISIONS, decided)
    await read_all(deployment, SESSION_LEASES, renewed)
    return ledger


async def read_all(deployment: Deployment, topic: Topic, take: Any) -> None:
    """Every record of a topic, each given to `take`; MACs are checked where it has them."""
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


def _running(ledger: Ledger, household: Household, account_id: str, now_ms: int) -> list[Session]:
    return [household.sessions[each].session for each in ledger.slots(account_id, now_ms)]
