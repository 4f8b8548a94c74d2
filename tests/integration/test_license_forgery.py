"""Whoever can only write to Kafka gets no license, no session, no key, and no slot is moved."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agents.license.key_views import REFRESH_S
from schemas import codec
from schemas.accounts import Account
from schemas.catalog import Tier
from schemas.envelope import Request
from schemas.ids import uuid7
from schemas.licenses import ContentKeys, DecisionFacts, LicenseDecision, RequestContentKeys
from schemas.sessions import Device, OpenSession, SessionOpened
from schemas.subscriptions import Subscription
from streams.broker import Broker
from streams.clock import system_clock
from streams.identity import Identity, enroll, load_or_create_identity
from streams.producer import partition_of
from streams.requests import (
    AGENT_HEADER,
    ASKER_HEADER,
    REQUEST_HEADER,
    SIGNATURE_HEADER,
    NoAnswerError,
    RefusedError,
    reply_info,
    signed_bytes,
)
from streams.sealing import seal
from streams.topic import Topic
from streams.topics import (
    ACCOUNTS,
    GATEWAY_REPLIES,
    KEY_REQUESTS,
    LICENSE_DECISIONS,
    LICENSE_REQUESTS,
    SIGNING_KEYS,
)
from streams.view import View
from tests.builders import a_title
from tests.integration.house import House, a_house

ACCOUNT = "account-1"


@pytest.fixture
async def house(broker: Broker, tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(broker, tmp_path) as house:
        await house.put_account(subscription=Subscription(plan="basic", state="active", since_ms=0))
        await house.put_title(a_title())
        yield house


def an_open() -> OpenSession:
    return OpenSession(
        session_id=str(uuid7(system_clock(), secrets.token_bytes(10))),
        account_id=ACCOUNT,
        account_version=1,
        profile_id="profile-1",
        content_id="tears",
        device=Device(device_id="device-1"),
        region="DE",
    )


async def write(
    house: House, topic: Topic, key: str, value: bytes, headers: dict[str, bytes]
) -> None:
    """What an attacker can do: bytes into a topic, with no key of ours."""
    partition = partition_of(key, topic.partitions)
    await house.publisher.publish_raw(topic.name, key.encode(), value, headers, partition)


def a_request(sender: str, *, body: Any = None, **changes: Any) -> Request:
    request = Request(
        request_id=secrets.token_hex(16),
        sender=sender,
        not_after_ms=system_clock() + 60_000,
        reply_partition=3,
        reply_key=X25519PrivateKey.generate().public_key().public_bytes_raw(),
        body=msgspec.Raw(codec.encode(body or an_open())),
    )
    return msgspec.structs.replace(request, **changes)


async def signed(house: House, identity: Identity, request: Request) -> None:
    value = codec.encode(request)
    signature = identity.sign(signed_bytes(LICENSE_REQUESTS.name, ACCOUNT, value))
    await write(house, LICENSE_REQUESTS, ACCOUNT, value, {SIGNATURE_HEADER: signature})


async def an_honest_session(house: House) -> SessionOpened:
    """Everything before it in the partition has been handled when it is answered."""
    body = an_open()
    answer: SessionOpened = await house.gateway.ask(
        LICENSE_REQUESTS, ACCOUNT, body, SessionOpened, deadline_ms=5_000
    )
    return answer


async def test_requests_that_no_enrolled_gateway_signed_are_buried(
    house: House, tmp_path: Path
) -> None:
    gateway = house.keys.identity("gateway")
    intruder = load_or_create_identity(tmp_path / "intruder.json", "gateway")
    self_enrolled = enroll(Ed25519PrivateKey.generate(), intruder, system_clock())
    await house.publisher.publish(SIGNING_KEYS, intruder.key_id, self_enrolled)
    posing = msgspec.structs.replace(self_enrolled, key_id=gateway.key_id)
    await house.publisher.publish(SIGNING_KEYS, posing.key_id + "x", posing)
    async with house.working(house.license_agent()):
        unsigned = codec.encode(a_request(gateway.key_id))
        await write(house, LICENSE_REQUESTS, ACCOUNT, unsigned, {})
        await signed(house, intruder, a_request(intruder.key_id))
        await signed(house, intruder, a_request(gateway.key_id))
        packager = house.keys.identity("packager")  # enrolled, but for something else
        await signed(house, packager, a_request(packager.key_id))
        session = await an_honest_session(house)
        dead = await letters(house, LICENSE_REQUESTS, 4)
    assert [reason for reason, _ in dead] == ["forged"] * 4
    decisions = await house.records(LICENSE_DECISIONS)
    assert [d.session_id for d in decisions] == [session.session_id]


async def letters(house: House, topic: Topic, count: int) -> list[tuple[str, bytes]]:
    """The reasons and values of a dead-letter topic, once there are so many."""
    found: list[tuple[str, bytes]] = []
    dead = msgspec.structs.replace(topic.dead_letters, value=bytes)
    view: View[bytes] = View(
        house.broker,
        dead,
        clock=system_clock,
        keep=False,
        on_record=lambda r: found.append((r.headers["reason"].decode(), r.value or b"")),
    )
    await view.start()
    assert await view.wait_until(lambda: len(found) >= count, 5_000)
    await view.stop()
    return found


async def test_a_captured_request_cannot_be_turned_to_another_reader_or_used_late(
    house: House,
) -> None:
    captured: list[Any] = []
    view: View[Request] = View(
        house.broker, LICENSE_REQUESTS, clock=system_clock, keep=False, on_record=captured.append
    )
    await view.start()
    async with house.working(house.license_agent()):
        body = an_open()
        await house.gateway.ask(LICENSE_REQUESTS, ACCOUNT, body, SessionOpened, deadline_ms=5_000)
        assert await view.wait_until(lambda: bool(captured), 5_000)
        (record,) = captured
        headers = dict(record.headers)
        mine = X25519PrivateKey.generate().public_key().public_bytes_raw()
        other = record.value.reply_partition + 1
        for changes in ({"reply_key": mine}, {"reply_partition": other}, {"not_after_ms": 1 << 60}):
            turned = codec.encode(msgspec.structs.replace(record.value, **changes))
            await write(house, LICENSE_REQUESTS, ACCOUNT, turned, headers)
        assert len(await letters(house, LICENSE_REQUESTS, 3)) == 3
        # Verbatim: the same answer, sealed to the gateway once more; no second decision.
        await write(house, LICENSE_REQUESTS, ACCOUNT, codec.encode(record.value), headers)
        await asyncio.sleep((record.value.not_after_ms - system_clock()) / 1000 + 0.01)
        await write(house, LICENSE_REQUESTS, ACCOUNT, codec.encode(record.value), headers)
        with pytest.raises(RefusedError, match="concurrent-streams"):
            await an_honest_session(house)
    await view.stop()
    decisions = await house.records(LICENSE_DECISIONS)
    assert [d.outcome for d in decisions] == ["granted", "denied"]


async def test_a_forged_answer_is_not_believed(house: House, tmp_path: Path) -> None:
    intruder = load_or_create_identity(tmp_path / "intruder.json", "license")
    await house.publisher.publish(
        SIGNING_KEYS, intruder.key_id, enroll(Ed25519PrivateKey.generate(), intruder, 0)
    )
    seen: list[Any] = []
    view: View[Request] = View(
        house.broker, LICENSE_REQUESTS, clock=system_clock, keep=False, on_record=seen.append
    )
    await view.start()
    # Nobody works: only the intruder answers.
    asking: asyncio.Task[Any] = asyncio.create_task(
        house.gateway.ask(LICENSE_REQUESTS, ACCOUNT, an_open(), SessionOpened, deadline_ms=1_500)
    )
    assert await view.wait_until(lambda: bool(seen), 5_000)
    request = seen[0].value
    catalog = house.keys.identity("catalog")  # enrolled, but not to answer this
    for agent in (intruder, catalog):
        answer = SessionOpened(session_id="x", session_token="x", expires_at_ms=0)
        info = reply_info(request.request_id, agent.key_id)
        sealed = seal(codec.encode(answer), request.reply_key, info)
        headers = {
            REQUEST_HEADER: request.request_id.encode(),
            AGENT_HEADER: agent.key_id.encode(),
            ASKER_HEADER: seen[0].headers[ASKER_HEADER],
            SIGNATURE_HEADER: agent.sign(info + sealed),
        }
        await house.publisher.publish_raw(
            GATEWAY_REPLIES.name, b"x", sealed, headers, request.reply_partition
        )
    with pytest.raises(NoAnswerError):
        await asking
    await view.stop()


async def test_forged_state_gives_no_subscription_and_no_slot(house: House) -> None:
    (account,) = await house.records(ACCOUNTS)
    assert isinstance(account, Account)
    generous = msgspec.structs.replace(
        account,
        version=99,
        subscription=Subscription(plan="premium", state="active", since_ms=0),
    )
    async with house.working(house.license_agent()):
        session = await an_honest_session(house)
        await write(house, ACCOUNTS, ACCOUNT, codec.encode(generous), {"mac": b"x" * 32})
        freed = LicenseDecision(
            decision_id="forged",
            request_id="forged",
            action="end",
            outcome="granted",
            reason="ok",
            account_id=ACCOUNT,
            session_id=session.session_id,
            facts=DecisionFacts(),
            policy_version="",
            decided_at_ms=system_clock(),
            source_partition=0,
            source_offset=0,
        )
        await write(house, LICENSE_DECISIONS, ACCOUNT, codec.encode(freed), {})
        with pytest.raises(RefusedError, match="concurrent-streams"):
            await an_honest_session(house)
    async with house.working(house.license_agent()):  # nor after a restart
        with pytest.raises(RefusedError, match="concurrent-streams"):
            await an_honest_session(house)


async def test_only_a_packager_gets_content_keys(house: House) -> None:
    async with house.working(house.license_agent()):
        request = RequestContentKeys(content_id="tears", tiers=("sd",))
        await house.packager.ask(KEY_REQUESTS, "tears", request, ContentKeys, deadline_ms=5_000)
        with pytest.raises(NoAnswerError):
            await house.gateway.ask(KEY_REQUESTS, "tears", request, ContentKeys, deadline_ms=1_000)
        assert [reason for reason, _ in await letters(house, KEY_REQUESTS, 1)] == ["forged"]


async def test_without_the_root_key_licenses_fail_closed(house: House) -> None:
    """At once where it is asked; within moments where what it unwrapped is still in memory."""
    away = house.home / "root.away"

    async def get(tier: Tier) -> ContentKeys:
        request = RequestContentKeys(content_id="tears", tiers=(tier,))
        return await house.packager.ask(
            KEY_REQUESTS, "tears", request, ContentKeys, deadline_ms=5_000
        )

    async with house.working(house.license_agent()):
        house.keys.kek_root.rename(away)
        with pytest.raises(RefusedError, match="503 key-service"):
            await get("sd")
        away.rename(house.keys.kek_root)
        await get("sd")
        house.keys.kek_root.rename(away)
        async with asyncio.timeout(REFRESH_S * 10):
            while await is_given(get("sd")):
                pass
        away.rename(house.keys.kek_root)
        async with asyncio.timeout(REFRESH_S * 10):
            while not await is_given(get("sd")):
                pass


async def is_given(asked: Coroutine[Any, Any, ContentKeys]) -> bool:
    try:
        await asked
    except RefusedError as error:
        if error.refused.reason != "key-service":
            raise
        return False
    return True
