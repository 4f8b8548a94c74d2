"""The key-encryption key is rotated while licenses are issued, workers start and workers die."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agents.license import rotation
from agents.license.agent import LicenseAgent
from infra.keys.file_root import FileKeyProvider
from infra.keys.files import write_private
from infra.keys.pkcs11_root import Pkcs11KeyProvider, TokenPlace
from schemas.catalog import Tier
from schemas.licenses import (
    ContentKeys,
    KeyEncryptionKey,
    KeyRotation,
    Keys,
    RequestContentKeys,
    RotateKeyEncryptionKey,
    WrappedKey,
)
from schemas.sessions import GetKeys
from streams.broker import Broker
from streams.requests import NoAnswerError
from streams.topics import CONTENT_KEYS, KEY_ENCRYPTION_KEYS, KEY_REQUESTS
from tests.builders import a_title
from tests.integration.house import House, a_house
from tests.integration.test_license import ask, opened
from tests.unit.keys.softhsm import PIN, TOKEN, a_token

CONTENTS = ("tears", *(f"other-{n}" for n in range(40)))
TIERS: tuple[Tier, ...] = ("audio", "sd", "hd")
VIEWERS = 4


@pytest.fixture
async def house(broker: Broker, tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(broker, tmp_path) as house:
        await house.put_account()
        await house.put_title(a_title())
        yield house


async def made(house: House) -> dict[str, dict[str, bytes]]:
    """Keys of every content, by content and key id."""
    found: dict[str, dict[str, bytes]] = {}
    for content_id in CONTENTS:
        answer: ContentKeys = await house.packager.ask(
            KEY_REQUESTS,
            content_id,
            RequestContentKeys(content_id=content_id, tiers=TIERS),
            ContentKeys,
            deadline_ms=5_000,
        )
        found[content_id] = {key.key_id: key.key for key in answer.keys}
    return found


async def piece(house: House, from_kek_id: str) -> KeyRotation:
    answer: KeyRotation = await house.operator.ask(
        KEY_REQUESTS,
        "key-encryption key",
        RotateKeyEncryptionKey(from_kek_id=from_kek_id),
        KeyRotation,
        deadline_ms=10_000,
    )
    return answer


@asynccontextmanager
async def viewers(house: House, keys: dict[str, bytes]) -> AsyncIterator[list[int]]:
    """Ask for licenses without a pause until left; whatever fails, fails the test.

    Gives how many each has got so far.
    """
    got = [0] * VIEWERS
    session = await opened(house)

    async def watch(number: int) -> None:
        question = GetKeys(
            account_id="account-1", session_id=session.session_id, key_ids=tuple(keys)
        )
        while True:
            answer: Keys = await ask(house, question, Keys)
            assert {key.key_id: key.key for key in answer.keys} == keys
            got[number] += 1

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(watch(number)) for number in range(VIEWERS)]
        yield got
        for task in tasks:
            task.cancel()


async def a_license_later(got: list[int]) -> None:
    """Every viewer has got two more: one was asked for after now."""
    before = list(got)
    while any(now < then + 2 for now, then in zip(got, before, strict=True)):  # noqa: ASYNC110 - other tasks count
        await asyncio.sleep(0.01)


def all_keys(agent: LicenseAgent) -> dict[str, bytes]:
    ids = tuple(key.key_id for key in agent._keys.all())
    return {key.key_id: key.key for key in agent._keys.for_player(ids)}


async def test_no_license_fails_while_the_key_is_rotated(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers that start amid it know old and new; every key is the same one after it."""
    monkeypatch.setattr(rotation, "PIECE_KEYS", 20)
    monkeypatch.setattr(rotation, "AT_ONCE_KEYS", 5)
    agent = house.license_agent()
    async with house.working(agent):
        keys = await made(house)
        everything = {key_id: key for each in keys.values() for key_id, key in each.items()}
        late: list[LicenseAgent] = []
        async with viewers(house, keys["tears"]) as got:
            await a_license_later(got)
            (first,) = await house.records(KEY_ENCRYPTION_KEYS)
            while (answer := await piece(house, first.kek_id)).left:
                assert answer.rewrapped > 0
                await a_license_later(got)
                if len(late) < 2:
                    late.append(house.license_agent())
                    await late[-1].start()
                    assert all_keys(late[-1]) == everything
            await a_license_later(got)
        assert (answer.version, answer.retired) == (2, (1,))
        for each in (agent, *late):
            assert all_keys(each) == everything
        for each in late:
            await each.stop()
        newest: dict[str, WrappedKey] = {k.key_id: k for k in await house.records(CONTENT_KEYS)}
        assert {key.kek_version for key in newest.values()} == {2}
    await house.assert_no_topic_holds(everything.values())


async def test_a_rotation_goes_on_in_the_next_worker(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is gone after one piece; where it stands is in the log alone."""
    monkeypatch.setattr(rotation, "PIECE_KEYS", 20)
    async with house.working(house.license_agent()):
        keys = await made(house)
        (first,) = await house.records(KEY_ENCRYPTION_KEYS)
        begun = await piece(house, first.kek_id)
        assert begun.left > 0
    agent = house.license_agent()
    async with house.working(agent):
        while (answer := await piece(house, "")).left:
            assert answer.rewrapped > 0
        assert (answer.version, answer.retired) == (2, (1,))
        everything = {key_id: key for each in keys.values() for key_id, key in each.items()}
        assert all_keys(agent) == everything
    versions = [kek.version for kek in await house.records(KEY_ENCRYPTION_KEYS)]
    assert versions == [1, 2, 1], "made, made, retired"


async def test_a_deployment_moves_into_a_token_without_a_failed_license(
    house: House, tmp_path: Path
) -> None:
    """Afterwards the file is not needed: neither by this worker nor by the next."""
    with a_token(tmp_path) as module:
        write_private(tmp_path / "pin", PIN.encode())
        pin_file = tmp_path / "pin"
        token = Pkcs11KeyProvider(
            TokenPlace(module=module, token=TOKEN, key="root", pin_file=pin_file)
        )
        await token.make_root()
        async with house.working(house.license_agent()):
            keys = await made(house)
        both = (token, FileKeyProvider(house.keys.kek_root))
        async with house.working(house.license_agent(roots=both)):
            (first,) = await house.records(KEY_ENCRYPTION_KEYS)
            async with viewers(house, keys["tears"]) as got:
                while (await piece(house, first.kek_id)).left:
                    pass
                house.keys.kek_root.unlink()
                await a_license_later(got)
        async with (
            house.working(house.license_agent(roots=(token,))),
            viewers(house, keys["tears"]) as got,
        ):
            await a_license_later(got)
        roots = {kek.version: kek.root for kek in await house.records(KEY_ENCRYPTION_KEYS)}
        assert roots == {1: "file", 2: token.root}
        await token.close()


async def test_only_an_operator_rotates(house: House) -> None:
    async with house.working(house.license_agent()):
        await made(house)
        for asker in (house.gateway, house.packager):
            with pytest.raises(NoAnswerError):
                await asker.ask(
                    KEY_REQUESTS,
                    "key-encryption key",
                    RotateKeyEncryptionKey(from_kek_id=""),
                    KeyRotation,
                    deadline_ms=1_000,
                )
        keks: list[KeyEncryptionKey] = await house.records(KEY_ENCRYPTION_KEYS)
        assert [kek.version for kek in keks] == [1]
