"""Licenses on the real broker: gateway → Kafka → license agent → Kafka → gateway."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.license.plans import POLICY
from schemas.accounts import Done
from schemas.ids import uuid7
from schemas.licenses import ContentKeys, Keys, RequestContentKeys
from schemas.sessions import (
    Device,
    Devices,
    EndSession,
    ExtendSession,
    GetKeys,
    Lease,
    ListDevices,
    OpenSession,
    RemoveDevice,
    SessionClaims,
    SessionEnded,
    SessionOpened,
)
from schemas.subscriptions import Subscription
from schemas.tokens import AUDIENCE, SESSION_TOKEN_S_MAX, SESSION_TYP
from streams.broker import Broker
from streams.clock import system_clock
from streams.requests import RefusedError
from streams.tokens import TokenVerifier
from streams.topics import (
    KEY_REQUESTS,
    LICENSE_DECISIONS,
    LICENSE_REQUESTS,
    SESSION_CONTROL,
    SESSION_LEASES,
    SESSIONS,
)
from tests.builders import a_title
from tests.integration.house import House, a_house


@pytest.fixture
async def house(broker: Broker, tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(broker, tmp_path) as house:
        yield house


def an_open(**changes: Any) -> OpenSession:
    request = OpenSession(
        session_id=str(uuid7(system_clock(), secrets.token_bytes(10))),
        account_id="account-1",
        account_version=1,
        profile_id="profile-1",
        content_id="tears",
        device=Device(device_id="device-1"),
        region="DE",
    )
    return msgspec.structs.replace(request, **changes)


async def ask(house: House, body: Any, answer: Any, **options: Any) -> Any:
    return await house.gateway.ask(
        LICENSE_REQUESTS, body.account_id, body, answer, **{"deadline_ms": 5_000, **options}
    )


async def opened(house: House, **changes: Any) -> SessionOpened:
    answer: SessionOpened = await ask(house, an_open(**changes), SessionOpened)
    return answer


async def content_keys(house: House, content_id: str = "tears") -> ContentKeys:
    request = RequestContentKeys(content_id=content_id, tiers=("audio", "sd", "hd"))
    return await house.packager.ask(
        KEY_REQUESTS, content_id, request, ContentKeys, deadline_ms=5_000
    )


async def test_a_session_is_opened_licensed_extended_and_ended(house: House) -> None:
    await house.put_account()
    await house.put_title(a_title())
    async with house.working(house.license_agent()):
        made = await content_keys(house)
        assert await content_keys(house) == made
        session = await opened(house)
        verifier = TokenVerifier(
            house.directory,
            "license",
            SessionClaims,
            typ=SESSION_TYP,
            audience=AUDIENCE,
            lifetime_s_max=SESSION_TOKEN_S_MAX,
            clock=system_clock,
        )
        claims = verifier.verify(session.session_token)
        assert claims.sid == session.session_id
        assert claims.tiers == ("audio", "sd", "hd")
        assert claims.max_height == 1080
        key_ids = tuple(key.key_id for key in made.keys)
        get = GetKeys(account_id="account-1", session_id=session.session_id, key_ids=key_ids)
        keys = await ask(house, get, Keys)
        assert {(k.key_id, k.key) for k in keys.keys} == {(k.key_id, k.key) for k in made.keys}
        extend = ExtendSession(account_id="account-1", session_id=session.session_id)
        assert (await ask(house, extend, SessionOpened)).session_id == session.session_id
        devices = await ask(house, ListDevices(account_id="account-1"), Devices)
        assert devices.devices[0].session_ids == (session.session_id,)
        end = EndSession(account_id="account-1", session_id=session.session_id)
        assert await ask(house, end, SessionEnded) == SessionEnded(session_id=session.session_id)
        with pytest.raises(RefusedError, match="session-ended"):
            await ask(house, get, Keys)
    decisions = await house.records(LICENSE_DECISIONS)
    assert [d.action for d in decisions] == ["open", "license", "extend", "end", "license"]
    assert [s.ended_reason for s in await house.records(SESSIONS)] == ["", "", "ended"]
    assert [c.is_refused for c in await house.records(SESSION_CONTROL)] == [True]
    await house.assert_no_topic_holds([key.key for key in made.keys])


async def test_slots_devices_and_denials_are_decided_and_recorded(house: House) -> None:
    await house.put_account()
    await house.put_title(a_title())
    async with house.working(house.license_agent()):
        first = await opened(house)
        second = await opened(house, device=Device(device_id="device-2"))
        with pytest.raises(RefusedError) as refused:
            await opened(house, device=Device(device_id="device-3"))
        assert refused.value.refused.status == 403
        assert refused.value.refused.reason == "concurrent-streams"
        sessions = refused.value.refused.facts["sessions"]
        assert sessions == [first.session_id, second.session_id]
        remove = RemoveDevice(account_id="account-1", device_id="device-1")
        assert await ask(house, remove, Done) == Done()
        with pytest.raises(RefusedError, match="404 unknown-device"):
            await ask(house, remove, Done)
        await opened(house, device=Device(device_id="device-3"))
        with pytest.raises(RefusedError, match="unknown-content"):
            await opened(house, content_id="nothing")
        cancelled = Subscription(plan="standard", state="cancelled", since_ms=0)
        await house.put_account(version=2, subscription=cancelled)
        with pytest.raises(RefusedError, match="402 subscription"):
            await opened(house, account_version=2)
    reasons = [d.reason for d in await house.records(LICENSE_DECISIONS)]
    assert reasons == [
        "ok",
        "ok",
        "concurrent-streams",
        "ok",
        "ok",
        "unknown-content",
        "subscription",
    ]


async def test_an_open_waits_for_the_account_version_of_the_token(house: House) -> None:
    await house.put_account(subscription=Subscription(plan="none", state="none", since_ms=0))
    await house.put_title(a_title())
    async with house.working(house.license_agent()):
        waiting = asyncio.create_task(opened(house, account_version=2))
        await asyncio.wait([waiting], timeout=0.3)
        assert not waiting.done()
        await house.put_account(version=2)
        assert (await waiting).session_token
        with pytest.raises(RefusedError, match="503 stale-account"):
            await ask(house, an_open(account_version=9), SessionOpened, deadline_ms=900)


async def test_the_same_request_gets_the_same_answer_and_one_slot(house: House) -> None:
    await house.put_account(subscription=Subscription(plan="basic", state="active", since_ms=0))
    await house.put_title(a_title())
    request, request_id = an_open(), secrets.token_hex(16)
    async with house.working(house.license_agent()):
        first = await ask(house, request, SessionOpened, request_id=request_id)
        again = await ask(house, request, SessionOpened, request_id=request_id)
    async with house.working(house.license_agent()):  # and after a restart
        last = await ask(house, request, SessionOpened, request_id=request_id)
        assert first == again == last
        with pytest.raises(RefusedError, match="concurrent-streams"):
            await opened(house)
    assert [d.action for d in await house.records(LICENSE_DECISIONS)] == ["open", "open"]


async def test_the_oldest_stream_makes_room_where_the_policy_says_so(house: House) -> None:
    await house.put_account()
    await house.put_title(a_title())
    policy = msgspec.structs.replace(POLICY, concurrency="stop-oldest")
    async with house.working(house.license_agent(policy)):
        sessions = [await opened(house, device=Device(device_id=f"d-{n}")) for n in range(3)]
        made = await content_keys(house)
        key_ids = tuple(key.key_id for key in made.keys)
        stopped, *running = [session.session_id for session in sessions]
        get = GetKeys(account_id="account-1", session_id=stopped, key_ids=key_ids)
        with pytest.raises(RefusedError, match="session-ended"):
            await ask(house, get, Keys)
        for session_id in running:
            get = GetKeys(account_id="account-1", session_id=session_id, key_ids=key_ids)
            assert (await ask(house, get, Keys)).keys
        controls = await house.records(SESSION_CONTROL)
        assert [(c.session_id, c.reason) for c in controls] == [(stopped, "stopped-by-newer")]
    async with house.working(house.license_agent(policy)):  # the log tells who was stopped
        listed = await ask(house, ListDevices(account_id="account-1"), Devices)
        open_ids = {each for device in listed.devices for each in device.session_ids}
        assert open_ids == set(running)


async def test_a_rental_is_remembered_over_a_restart(house: House) -> None:
    await house.put_account()
    await house.put_title(a_title())
    terms = msgspec.structs.replace(POLICY.terms, rental_ms=1_500)
    policy = msgspec.structs.replace(POLICY, titles={"tears": terms})
    async with house.working(house.license_agent(policy)):
        await opened(house)
    async with house.working(house.license_agent(policy)):
        async with asyncio.timeout(20):
            while True:
                try:
                    await opened(house)
                except RefusedError as error:
                    assert error.refused.reason == "rental"  # noqa: PT017 - it ends the wait
                    break
    decisions = await house.records(LICENSE_DECISIONS)
    assert len({decision.rental for decision in decisions if decision.rental is not None}) == 1


async def test_a_slot_that_lapsed_is_given_to_another_and_the_first_is_refused(
    house: House,
) -> None:
    await house.put_account(subscription=Subscription(plan="basic", state="active", since_ms=0))
    await house.put_title(a_title())
    policy = msgspec.structs.replace(POLICY, lease_ms=400)
    async with house.working(house.license_agent(policy)):
        first = await opened(house)
        with pytest.raises(RefusedError, match="concurrent-streams"):
            await opened(house)
        async with asyncio.timeout(10):
            while True:
                try:
                    second = await opened(house)
                except RefusedError:
                    continue
                break
        lease = Lease(account_id="account-1", session_id=first.session_id, at_ms=system_clock())
        await house.publisher.publish(SESSION_LEASES, "account-1", lease)
        async with asyncio.timeout(10):
            while not (controls := await house.records(SESSION_CONTROL)):
                continue
    assert [(c.session_id, c.reason) for c in controls] == [
        (first.session_id, "concurrent-streams")
    ]
    assert second.session_id != first.session_id
