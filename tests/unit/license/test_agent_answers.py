"""What the agent answers to requests for licenses, its log and its desk in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from msgspec.structs import replace

from agents.license.agent import LicenseAgent
from agents.license.plans import POLICY
from agents.shell import ShellPorts
from schemas import codec
from schemas.envelope import Refused, Request
from schemas.ids import base64url
from schemas.licenses import BoundKeys, Entitlement, Keys, LicenseDecision
from schemas.sessions import Device, GetEntitlement, GetKeys, OpenSession, SessionOpened
from streams.binding import Transcript, open_keys
from streams.broker import Broker
from streams.clock import steady_clock
from streams.identity import Identity
from streams.records import Record
from streams.topics import LICENSE_DECISIONS, LICENSE_REQUESTS
from tests.builders import HD_KEY, SD_KEY, a_title
from tests.gateway_fakes import MemoryClock, MemoryDesk, MemoryPublisher
from tests.unit.license.facts import an_account, an_open
from tests.unit.license.key_service import give, keks_of, lose

DEVICE = X25519PrivateKey.from_private_bytes(b"d" * 32)
PUBLIC_KEY = base64url(DEVICE.public_key().public_bytes_raw())


class House:
    """One agent that knows an account, a title and keys of its own."""

    def __init__(self) -> None:
        clock = MemoryClock()
        self.publisher = MemoryPublisher(clock)
        self.desk = MemoryDesk()
        ports: Any = ShellPorts(
            broker=Broker(bootstrap="", namespace=""),
            publisher=self.publisher,  # type: ignore[arg-type]  # what the agent uses of it
            clock=clock,
            metrics=None,  # type: ignore[arg-type]  # nothing is served
            halt=lambda _: None,
        )
        identity = Identity(
            "license-1", "license", Ed25519PrivateKey.generate(), X25519PrivateKey.generate()
        )
        desk: Any = self.desk
        self.keks = keks_of(clock=clock)
        give(self.keks)
        self.agent = LicenseAgent(ports, identity, desk, keks=self.keks, policy=POLICY)
        self.agent._registrar._view.reach_end = _empty  # type: ignore[method-assign, assignment]
        self.agent._views._accounts.take(_record(an_account(), "account-1"))
        self.agent._views._titles.take(_record(a_title(), "tears"))
        self.seen_ms_ago(0)
        self.keys = self.agent._keys
        numbers: Iterator[int] = iter(range(1, 99))
        self.keys.make_missing(
            "tears", ("sd", "hd"), now_ms=0, randomness=lambda n: next(numbers).to_bytes(n, "big")
        )

    def seen_ms_ago(self, age_ms: int) -> None:
        """When accounts, titles and revocations were last seen at their ends."""
        for view in self.agent._views._views:
            view._seen_end_at_ms = steady_clock() - age_ms

    async def ask(self, body: OpenSession | GetKeys | GetEntitlement) -> msgspec.Struct:
        request = Request(
            request_id=f"request-{len(self.desk.answers)}",
            sender="gateway-1",
            not_after_ms=10**12,
            reply_partition=0,
            reply_key=b"",
            body=msgspec.Raw(codec.encode(body)),
        )
        work = self.agent.handle(_record(request, body.account_id))
        assert work is not None
        await work
        answer: msgspec.Struct = self.desk.answers[-1]
        return answer

    @property
    def decisions(self) -> list[LicenseDecision]:
        return self.publisher.values(LICENSE_DECISIONS)


async def _empty(_: int) -> int:
    """Where a partition ends that nothing was written to."""
    return 0


def _record(value: Any, key: str) -> Record[Any]:
    return Record(LICENSE_REQUESTS.name, 0, 0, key, value, 0, {})


@pytest.fixture
def house() -> House:
    return House()


def keys_of(house: House) -> tuple[str, ...]:
    return tuple(sorted(key.key_id for key in house.keys.for_packager("tears", ("sd", "hd"))))


async def test_leave_for_an_upstream_is_what_stands_in_the_log(house: House) -> None:
    """Also for keys that are not ours to unwrap."""
    assert isinstance(await house.ask(an_open(1)), SessionOpened)
    question = GetEntitlement(
        account_id="account-1",
        session_id="session-1",
        system="playready",
        key_ids=(SD_KEY, HD_KEY),
    )
    entitlement = await house.ask(question)
    assert isinstance(entitlement, Entitlement)
    assert house.decisions[-1].entitlement == entitlement
    assert [key.key_id for key in entitlement.keys] == [SD_KEY, HD_KEY]
    assert await house.ask(replace(question, key_ids=(SD_KEY, "e" * 32))) == Refused(
        status=403, reason="foreign-key"
    )
    assert house.decisions[-1].entitlement is None


async def test_who_has_not_seen_the_revocations_lately_grants_nothing(house: House) -> None:
    house.seen_ms_ago(POLICY.view_age_ms_max + 1_000)
    refused = await house.ask(an_open(1))
    assert isinstance(refused, Refused)
    assert (refused.status, refused.reason) == (503, "stale-account")
    house.seen_ms_ago(0)
    assert isinstance(await house.ask(an_open(2)), SessionOpened)


async def test_leave_for_an_upstream_needs_no_key_service(house: House) -> None:
    await house.ask(an_open(1))
    lose(house.keks)
    question = GetEntitlement(account_id="account-1", session_id="session-1", system="fairplay")
    assert isinstance(await house.ask(question), Entitlement)


async def test_keys_of_a_bound_session_open_on_its_device_alone(house: House) -> None:
    device = Device(device_id="device-1", public_key=PUBLIC_KEY)
    assert isinstance(await house.ask(an_open(1, device=device)), SessionOpened)
    question = GetKeys(
        account_id="account-1",
        session_id="session-1",
        key_ids=keys_of(house),
        system="device",
        nonce="n" * 16,
    )
    answer = await house.ask(question)
    assert isinstance(answer, BoundKeys)
    transcript = Transcript(
        session_id="session-1",
        device_id="device-1",
        nonce="n" * 16,
        key_ids=answer.key_ids,
    )
    assert open_keys(answer.sealed, DEVICE, transcript) == house.keys.for_player(keys_of(house))
    clear = await house.ask(replace(question, system="clearkey"))
    assert clear == Refused(status=403, reason="device-bound")


async def test_other_sessions_get_their_keys_as_before(house: House) -> None:
    await house.ask(an_open(1))
    question = GetKeys(account_id="account-1", session_id="session-1", key_ids=keys_of(house))
    assert await house.ask(question) == Keys(keys=house.keys.for_player(keys_of(house)))
    bound = await house.ask(replace(question, system="device", nonce="n" * 16))
    assert bound == Refused(status=403, reason="device-bound")
