"""A changed byte, wherever: of tokens, requests, sealed answers and records. Never a grant."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from schemas import codec
from schemas.envelope import Enrollment, Request, Role
from schemas.errors import InvalidMessageError
from schemas.licenses import ClearKey, Keys, LicenseDecision
from schemas.secrets import SecretBytes
from schemas.sessions import GetKeys
from streams.authenticity import MAC_HEADER, record_mac
from streams.broker import Broker
from streams.identity import Directory, Identity, enroll
from streams.producer import Receipt
from streams.reader import RecordReader
from streams.records import Record
from streams.replies import Desk
from streams.requests import Asker
from streams.topic import Topic
from streams.topics import GATEWAY_REPLIES, LICENSE_DECISIONS, LICENSE_REQUESTS
from tests.gateway_fakes import MemoryClock, MemoryView, World
from tests.unit.operations.audit.records import some_payloads

BITS: Final = (1, 128)
ANSWER: Final = Keys(keys=(ClearKey(key_id="1" * 32, key=b"k" * 16),))


def mutations(value: bytes) -> Iterator[bytes]:
    """Each byte flipped in its lowest and its highest bit; then cut short, and made longer."""
    for place in range(len(value)):
        for bit in BITS:
            yield value[:place] + bytes([value[place] ^ bit]) + value[place + 1 :]
    yield from (value[:-1], value[1:], value + b"\0", b"")


class MemoryLog:
    """Keeps what was published, headers too."""

    def __init__(self) -> None:
        self.records: list[SimpleNamespace] = []
        self.added = asyncio.Event()

    async def publish(
        self,
        topic: Topic,
        key: str,
        value: Any,
        *,
        headers: Mapping[str, bytes] | None = None,
        partition: int | None = None,
    ) -> Receipt:
        data = value if isinstance(value, bytes) else codec.encode(value)
        self.records.append(
            SimpleNamespace(
                topic=topic.name,
                partition=partition or 0,
                offset=len(self.records),
                timestamp=0,
                key=key.encode(),
                value=data,
                headers=list((headers or {}).items()),
            )
        )
        self.added.set()
        return Receipt(0, len(self.records) - 1)


class Exchange:
    """A gateway that asks for keys, and a license agent's counter, over a log in memory."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.clock = MemoryClock()
        root = Ed25519PrivateKey.generate()
        enrolled: MemoryView[Enrollment] = MemoryView()
        view: Any = enrolled
        self.directory = Directory(view, root.public_key(), clock=self.clock)
        self._identities = {role: _identity(role) for role in ("gateway", "license")}
        for identity in self._identities.values():
            enrolled.put(identity.key_id, enroll(root, identity, self.clock()))
        broker, publisher = Broker(bootstrap="nowhere:1"), self._publisher()
        self.asker = Asker(
            broker, publisher, self._identities["gateway"], self.directory, clock=self.clock
        )
        self.desk = Desk(publisher, self._identities["license"], self.directory, clock=self.clock)
        self.reader = RecordReader(LICENSE_REQUESTS)

    def _publisher(self) -> Any:
        return self.log

    def ask(self) -> asyncio.Task[Keys]:
        question = GetKeys(account_id="account-1", session_id="session-1", key_ids=("1" * 32,))
        return asyncio.create_task(
            self.asker.ask(LICENSE_REQUESTS, "account-1", question, Keys, deadline_ms=20_000)
        )

    async def written(self, count: int) -> SimpleNamespace:
        async with asyncio.timeout(10):
            while len(self.log.records) < count:
                self.log.added.clear()
                await self.log.added.wait()
        return self.log.records[count - 1]


def _identity(role: Role) -> Identity:
    return Identity(f"{role}-1", role, Ed25519PrivateKey.generate(), X25519PrivateKey.generate())


def changed(record: SimpleNamespace, **parts: object) -> SimpleNamespace:
    return SimpleNamespace(**(vars(record) | parts))


def mutated(record: SimpleNamespace) -> Iterator[SimpleNamespace]:
    """Each byte of the value, the key and of every header's value."""
    for value in mutations(record.value):
        yield changed(record, value=value)
    for key in mutations(record.key):
        yield changed(record, key=key)
    for index, (name, content) in enumerate(record.headers):
        for other in mutations(content):
            headers = [*record.headers]
            headers[index] = (name, other)
            yield changed(record, headers=headers)


async def test_no_changed_byte_of_a_sealed_answer_is_believed() -> None:
    exchange = Exchange()
    asking = exchange.ask()
    asked = exchange.desk.open(exchange.reader.read(await exchange.written(1)))
    assert asked is not None
    await exchange.desk.reply(asked, ANSWER)
    answer = await exchange.written(2)
    assert answer.topic == GATEWAY_REPLIES.name
    assert b"k" * 16 not in answer.value
    (waiting,) = exchange.asker._open.values()
    unread = {"asker"}  # tells gateways apart so that they skip; what counts is the request's id
    for other in mutated(answer):
        told = [name for name, value in other.headers if (name, value) not in answer.headers]
        if (told and set(told) <= unread) or other.key != answer.key:
            continue
        exchange.asker._take(other)
        assert not waiting.answer.done()
    exchange.asker._take(answer)
    assert await asking == ANSWER


async def test_an_answer_opens_for_its_own_question_and_gateway_alone() -> None:
    """T22: a gateway that was started again cannot open what was sealed to it before."""
    exchange, other = Exchange(), Exchange()
    asking = exchange.ask()
    asked = exchange.desk.open(exchange.reader.read(await exchange.written(1)))
    assert asked is not None
    await exchange.desk.reply(asked, ANSWER)
    answer = await exchange.written(2)
    (request_id,) = exchange.asker._open
    (waiting,) = exchange.asker._open.values()
    again = Asker(
        Broker(bootstrap="nowhere:1"),
        exchange._publisher(),
        exchange._identities["gateway"],
        exchange.directory,
        clock=exchange.clock,
    )
    restarted = SimpleNamespace(
        reply_key=again._reply_key.current, role="license", answer=waiting.answer
    )
    with pytest.raises(InvalidMessageError, match="forged"):  # nor was it made for the new key
        again._opened(restarted, dict(answer.headers), answer.value)  # type: ignore[arg-type]
    other.asker._open[request_id] = waiting
    other.asker._take(answer)  # enrolled by another root
    assert not waiting.answer.done()
    exchange.asker._take(answer)
    assert await asking == ANSWER


async def test_no_changed_byte_of_a_request_is_answered() -> None:
    exchange = Exchange()
    asking = exchange.ask()
    request = await exchange.written(1)
    known = {"signature"}
    for other in mutated(request):
        told = [name for name, value in other.headers if (name, value) not in request.headers]
        if told and not set(told) <= known:
            continue  # the instance that asks: only it looks at it
        if _says_the_same(exchange.reader, request, other):
            continue
        with pytest.raises(InvalidMessageError):
            exchange.desk.open(_read(exchange.reader, other))
    assert exchange.desk.open(_read(exchange.reader, request)) is not None
    asking.cancel()


def _says_the_same(reader: RecordReader, record: SimpleNamespace, other: SimpleNamespace) -> bool:
    """The last character of base64 has bits that mean nothing: what is signed is what was read."""
    try:
        read = _read(reader, other)
    except InvalidMessageError:
        return False
    known = _read(reader, record)
    return other.value != record.value and read.value == known.value


def _read(reader: RecordReader, record: SimpleNamespace) -> Record[Request]:
    return reader.read(record)


def test_no_changed_byte_of_a_record_of_the_audit_chain_is_read() -> None:
    """T24: who can write to Kafka, but has no state key, changes no decision."""
    state_key = SecretBytes(b"s" * 32)
    payload = some_payloads(1)[0]
    mac = record_mac(state_key, LICENSE_DECISIONS.name, "account-1", payload)
    record = SimpleNamespace(
        partition=0,
        offset=0,
        timestamp=0,
        key=b"account-1",
        value=payload,
        headers=[(MAC_HEADER, mac)],
    )
    reader = RecordReader(LICENSE_DECISIONS, state_key=state_key)
    assert isinstance(reader.read(record).value, LicenseDecision)
    for other in mutated(record):
        with pytest.raises(InvalidMessageError):
            reader.read(other)


async def test_no_changed_byte_of_a_session_token_plays(
    world: World, client: aiohttp.ClientSession
) -> None:
    """T1: never a license, never an error of ours; every byte, over HTTP."""
    token = world.session_token()
    async with client.get(f"/s/{token}/bitrate") as answer:
        assert answer.status == 200
    for place in range(len(token)):
        other = "A" if token[place] != "A" else "B"
        mutation = token[:place] + other + token[place + 1 :]
        async with client.post(f"/s/{mutation}/license", json={"kids": []}) as answer:
            assert answer.status in {401, 404}, (place, answer.status)
    assert world.asker.asked == []
