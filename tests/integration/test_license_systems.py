"""Licenses beside ClearKey on the real broker: leave for upstreams, and keys sealed to a device."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from schemas.ids import base64url
from schemas.licenses import BoundKeys, Entitlement, Keys
from schemas.sessions import Device, Devices, GetEntitlement, GetKeys, ListDevices
from streams.binding import Transcript, open_keys
from streams.broker import Broker
from streams.requests import RefusedError
from streams.topics import LICENSE_DECISIONS
from tests.builders import AUDIO_KEY, HD_KEY, SD_KEY, a_title
from tests.integration.house import House, a_house
from tests.integration.test_license import ask, content_keys, opened


@pytest.fixture
async def house(broker: Broker, tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(broker, tmp_path) as house:
        await house.put_account()
        await house.put_title(a_title())
        yield house


async def test_leave_for_an_upstream_is_whole_and_on_record(house: House) -> None:
    async with house.working(house.license_agent()):
        session = await opened(house)
        question = GetEntitlement(
            account_id="account-1",
            session_id=session.session_id,
            system="widevine",
            key_ids=(SD_KEY, HD_KEY, AUDIO_KEY),
        )
        entitlement: Entitlement = await ask(house, question, Entitlement)
        assert {key.key_id for key in entitlement.keys} == {SD_KEY, HD_KEY, AUDIO_KEY}
        foreign = GetEntitlement(
            account_id="account-1",
            session_id=session.session_id,
            system="widevine",
            key_ids=(SD_KEY, "e" * 32),
        )
        with pytest.raises(RefusedError, match="403 foreign-key"):
            await ask(house, foreign, Entitlement)
    granted, denied = (await house.records(LICENSE_DECISIONS))[1:]
    assert (granted.system, granted.entitlement) == ("widevine", entitlement)
    assert (denied.outcome, denied.reason, denied.key_ids_granted) == ("denied", "unknown-key", ())


async def test_keys_are_readable_for_the_sessions_device_alone(house: House) -> None:
    private = X25519PrivateKey.generate()
    public_key = base64url(private.public_key().public_bytes_raw())
    device = Device(device_id="device-1", public_key=public_key)
    async with house.working(house.license_agent()):
        made = await content_keys(house)
        session = await opened(house, device=device)
        question = GetKeys(
            account_id="account-1",
            session_id=session.session_id,
            key_ids=tuple(sorted(key.key_id for key in made.keys)),
            system="device",
            nonce="n" * 16,
        )
        answer: BoundKeys = await ask(house, question, BoundKeys)
        clear = GetKeys(
            account_id="account-1", session_id=session.session_id, key_ids=question.key_ids
        )
        with pytest.raises(RefusedError, match="403 device-bound"):
            await ask(house, clear, Keys)
    async with house.working(house.license_agent()):  # and after a restart
        with pytest.raises(RefusedError, match="403 device-key"):
            await opened(house)
        devices: Devices = await ask(house, ListDevices(account_id="account-1"), Devices)
    assert devices.devices[0].public_key == public_key
    transcript = Transcript(
        session_id=session.session_id,
        device_id="device-1",
        nonce="n" * 16,
        key_ids=answer.key_ids,
    )
    keys = open_keys(answer.sealed, private, transcript)
    assert {(k.key_id, k.key) for k in keys} == {(k.key_id, k.key) for k in made.keys}
    await house.assert_no_topic_holds([key.key for key in made.keys])
