"""Packagers outside on the real broker: gateway → Kafka → license agent → Kafka → gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agents.license.key_delivery import PackagerTrust
from gateway.cpix.answer import write_answer
from gateway.cpix.request import CpixRequest, read_request
from schemas.licenses import ContentKeys, RequestContentKeys
from schemas.packaging import EncryptedContentKeys, RequestPackagerKeys
from streams.broker import Broker
from streams.requests import RefusedError
from streams.topics import KEY_REQUESTS
from tests.integration.house import House, a_house
from tests.unit.cpix.packager import a_packager, a_request

PACKAGER = a_packager()


@pytest.fixture
async def house(broker: Broker, tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(broker, tmp_path) as house:
        yield house


async def ask(house: House, request: CpixRequest) -> Any:
    question = RequestPackagerKeys(
        content_id=request.content_id, keys=request.keys, certificates=request.certificates
    )
    return await house.gateway.ask(
        KEY_REQUESTS,
        request.content_id,
        question,
        EncryptedContentKeys | ContentKeys,
        deadline_ms=5_000,
    )


async def test_a_packager_outside_gets_the_keys_of_the_one_inside(house: House) -> None:
    request = read_request(a_request(certificates=(PACKAGER.certificate,)))
    async with house.working(house.license_agent(packagers=PackagerTrust([PACKAGER.x509]))):
        opened = PACKAGER.open(write_answer(request, await ask(house, request)))
        inside = RequestContentKeys(content_id="tears", tiers=("audio", "sd", "hd"))
        kept: ContentKeys = await house.packager.ask(
            KEY_REQUESTS, "tears", inside, ContentKeys, deadline_ms=5_000
        )
        with pytest.raises(RefusedError, match="422 certificate"):
            await ask(house, read_request(a_request()))
    assert {kid.hex: key for kid, key in opened.items()} == {
        key.key_id: key.key for key in kept.keys
    }
    await house.assert_no_topic_holds(opened.values())


async def test_keys_outlive_a_restart_and_the_certificate_that_is_taken_out(house: House) -> None:
    request = read_request(a_request(certificates=(PACKAGER.certificate,)))
    trust = PackagerTrust([PACKAGER.x509])
    async with house.working(house.license_agent(packagers=trust)):
        first = PACKAGER.open(write_answer(request, await ask(house, request)))
    async with house.working(house.license_agent(packagers=trust)):
        assert PACKAGER.open(write_answer(request, await ask(house, request))) == first
    async with house.working(house.license_agent()):
        with pytest.raises(RefusedError, match="422 certificate"):
            await ask(house, request)
