"""Account events that nobody signed: of an older release, or forged."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from infra.deployment import Deployment
from infra.operations.account_history import read_account_history
from infra.operations.doctor.account_events import check_account_events
from infra.operations.event_signing import sign_account_events
from infra.settings import Settings
from schemas import codec
from schemas.accounts import Account, AccountEvent
from schemas.subscriptions import Subscription
from streams.broker import Broker
from streams.clock import system_clock
from streams.producer import Publisher, partition_of
from streams.topics import ACCOUNT_EVENTS
from tests.integration.analytics_stage import Stage, a_stage, an_engine
from tests.integration.house import House, a_house

ACCOUNT = "account-1"
BASIC = Subscription(plan="basic", state="active", since_ms=0)
PREMIUM = replace(BASIC, plan="premium")


@pytest.fixture
async def house(broker: Broker, tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(broker, tmp_path) as house:
        yield house


def deployment_of(house: House) -> Deployment:
    broker = house.broker
    return Deployment(
        settings=Settings(home=str(house.home), kafka=broker.bootstrap, namespace=broker.namespace)
    )


def an_event(version: int, subscription: Subscription, **changes: Any) -> AccountEvent:
    event = AccountEvent(
        account_id=ACCOUNT,
        fact="account_created" if version == 1 else "subscription_changed",
        at_ms=version,
        version=version,
        plan=subscription.plan,
        subscription_state=subscription.state,
        subscription=subscription,
        profiles=(),
    )
    return replace(event, **changes)


async def write_unsigned(
    publisher: Publisher, *events: AccountEvent, headers: dict[str, bytes] | None = None
) -> None:
    """As an older release did, and as anybody can who may write to Kafka."""
    for event in events:
        where = partition_of(event.account_id, ACCOUNT_EVENTS.partitions)
        key, value = event.account_id.encode(), codec.encode(event)
        await publisher.publish_raw(ACCOUNT_EVENTS.name, key, value, headers or {}, where)


async def an_older_deployment(house: House) -> Account:
    """Two events of an account, and three that nothing speaks for."""
    account = await house.put_account(ACCOUNT, version=2, subscription=PREMIUM, profiles=())
    await write_unsigned(
        house.publisher,
        an_event(1, BASIC),
        an_event(2, BASIC, at_ms=7),  # the account of this version has another plan
        an_event(2, PREMIUM),
        an_event(3, PREMIUM),
        an_event(1, PREMIUM, account_id="nobody"),
    )
    return account


async def told(house: House) -> list[tuple[int, str]]:
    history = await read_account_history(deployment_of(house), ACCOUNT, system_clock())
    return [(change.version, change.fact) for change in history.changes]


async def test_unsigned_events_count_once_an_operator_has_signed_them(house: House) -> None:
    deployment = deployment_of(house)
    await an_older_deployment(house)
    assert await told(house) == []
    (finding,) = await check_account_events(deployment, 0)
    assert not finding.is_ok
    planned = await sign_account_events(deployment, dry_run=True)
    assert (planned.unsigned, planned.signed, planned.buried) == (5, 2, 3)
    assert await told(house) == []
    assert await sign_account_events(deployment, dry_run=False) == planned
    assert await told(house) == [(1, "account_created"), (2, "subscription_changed")]
    letters = await house.records(ACCOUNT_EVENTS.dead_letters)
    assert len(letters) == 3
    (finding,) = await check_account_events(deployment, 0)
    assert finding.is_ok


async def test_what_comes_unsigned_after_a_signed_event_is_never_signed(house: House) -> None:
    deployment = deployment_of(house)
    await an_older_deployment(house)
    await sign_account_events(deployment, dry_run=False)
    before = await told(house)
    await write_unsigned(house.publisher, an_event(1, PREMIUM, by="operator"))
    await write_unsigned(house.publisher, an_event(2, PREMIUM), headers={"mac": b"x" * 32})
    assert (await sign_account_events(deployment, dry_run=False)).unsigned == 0
    assert await told(house) == before


async def test_a_signing_that_was_killed_is_finished(house: House) -> None:
    """After some copies were written, and before the beginning was cut off."""
    await an_older_deployment(house)
    await house.publisher.publish(ACCOUNT_EVENTS, ACCOUNT, an_event(1, BASIC))
    report = await sign_account_events(deployment_of(house), dry_run=False)
    assert (report.unsigned, report.signed, report.buried) == (5, 2, 3)
    assert await told(house) == [(1, "account_created"), (2, "subscription_changed")]
    assert len(await house.records(ACCOUNT_EVENTS)) == 2


async def test_a_forged_event_becomes_a_dead_letter_and_no_row(
    broker: Broker, tmp_path: Path
) -> None:
    async with (
        an_engine(tmp_path / "engine") as engine,
        a_stage(broker, engine, (ACCOUNT_EVENTS,)) as stage,
        stage.sinking(),
    ):
        await _forge(stage)
        await stage.until("SELECT groupArray(reason) FROM dead_letters", ["forged", "forged"])
        await stage.until("SELECT groupArray(plan) FROM accounts_plans", ["basic"])


async def _forge(stage: Stage) -> None:
    forged = an_event(2, PREMIUM)
    await write_unsigned(stage.publisher, forged)
    await write_unsigned(stage.publisher, forged, headers={"mac": b"x" * 32})
    await stage.publisher.publish(ACCOUNT_EVENTS, ACCOUNT, an_event(1, BASIC))
