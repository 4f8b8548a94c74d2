"""An answer opens in the memory of the process that asked, for an hour, and nowhere else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from schemas import codec
from schemas.accounts import Done
from schemas.envelope import Request
from schemas.errors import InvalidMessageError
from streams.broker import Broker
from streams.identity import Identity
from streams.records import Record
from streams.replies import Desk
from streams.reply_key import ReplyKey
from streams.requests import Asker, NoAnswerError, reply_info
from streams.sealing import unseal
from streams.topic import Topic
from streams.topics import ACCOUNT_REQUESTS, GATEWAY_REPLIES, KEY_REQUESTS


def identity(role: Any) -> Identity:
    return Identity(f"{role}-1", role, Ed25519PrivateKey.generate(), X25519PrivateKey.generate())


class Enrolled:
    """`streams.identity.Directory` of these."""

    def __init__(self, *identities: Identity) -> None:
        self._by_id = {each.key_id: each for each in identities}

    def by_id(self, key_id: str) -> Identity | None:
        return self._by_id.get(key_id)

    def signing_key(self, key_id: str, _: str) -> Any:
        return self._by_id[key_id].signing.public_key()


class Wire:
    """What was written, by topic, and who is told of a reply."""

    def __init__(self) -> None:
        self.rows: list[tuple[Topic, str, bytes, dict[str, bytes]]] = []
        self.written = asyncio.Event()

    async def publish(
        self,
        topic: Topic,
        key: str,
        value: bytes,
        *,
        headers: dict[str, bytes],
        partition: int | None = None,
    ) -> None:
        self.rows.append((topic, key, value, headers))
        self.written.set()


class Stage:
    """A gateway and an agent without a log between them."""

    def __init__(self) -> None:
        self.gateway, self.agent = identity("gateway"), identity("license")
        self.wire = Wire()
        directory: Any = Enrolled(self.gateway, self.agent)
        publisher: Any = self.wire
        self.directory = directory
        self.desk = Desk(publisher, self.agent, directory, clock=lambda: 0)

    def asker(self) -> Asker:
        publisher: Any = self.wire
        return Asker(
            Broker(bootstrap="", namespace=""),
            publisher,
            self.gateway,
            self.directory,
            clock=lambda: 0,
        )

    async def request(self) -> Request:
        """The newest that was asked."""
        await self.wire.written.wait()
        topic, _, value, _ = self.wire.rows[-1]
        assert topic is KEY_REQUESTS
        return codec.Decoder(Request).decode(value)

    async def reply(self) -> Any:
        """The agent's answer to it, as a consumer hands it out."""
        topic, key, value, headers = self.wire.rows[-1]
        request: Request = codec.Decoder(Request).decode(value)
        record = Record(topic.name, 0, 0, key, request, 0, headers)
        asked = self.desk.open(record)
        assert asked is not None
        await self.desk.reply(asked, Done())
        topic, key, value, headers = self.wire.rows[-1]
        assert topic is GATEWAY_REPLIES
        return Consumed(key, value, headers)


class Consumed:
    """A record of aiokafka."""

    def __init__(self, key: str, value: bytes, headers: dict[str, bytes]) -> None:
        self.key, self.value, self.headers = key.encode(), value, list(headers.items())


@pytest.fixture
def stage() -> Stage:
    return Stage()


def ask(asker: Asker, request_id: str | None = None) -> asyncio.Task[Done]:
    return asyncio.create_task(
        asker.ask(KEY_REQUESTS, "tears", Done(), Done, request_id=request_id)
    )


async def test_an_answer_reaches_who_asked(stage: Stage) -> None:
    asker = stage.asker()
    waiting = ask(asker)
    await stage.request()
    asker._take(await stage.reply())
    assert await waiting == Done()


async def test_a_request_under_way_is_answered_over_the_change_of_the_key(stage: Stage) -> None:
    asker = stage.asker()
    before = asker._reply_key.current
    waiting = ask(asker)
    await stage.request()
    asker._reply_key._replace()
    asker._reply_key.stop()
    assert asker._reply_key.current is not before
    assert [each.reply_key for each in asker._open.values()] == [before]
    asker._take(await stage.reply())
    assert await waiting == Done()
    assert asker._open == {}, "nothing holds the old key any more"


async def test_nobody_opens_an_old_answer_after_a_restart(stage: Stage) -> None:
    """Not the next process with the same identity, asked for the same request even, and not the
    identity's own sealing key."""
    first = stage.asker()
    waiting = ask(first)
    request = await stage.request()
    reply = await stage.reply()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    second = stage.asker()
    stage.wire.written.clear()
    again = ask(second, request.request_id)
    renewed = await stage.request()
    assert renewed.reply_key != request.reply_key
    (opened,) = second._open.values()
    second._open[request.request_id] = opened  # as if it waited for that very answer
    second._take(reply)
    assert not opened.answer.done()
    info = reply_info(request.request_id, stage.agent.key_id)
    for key in (second._reply_key.current, stage.gateway.sealing, stage.agent.sealing):
        with pytest.raises(InvalidMessageError, match="sealed"):
            unseal(reply.value, key, info)
    opened.answer.set_exception(NoAnswerError("over"))
    with pytest.raises(NoAnswerError):
        await again


async def test_the_key_is_replaced_by_time_alone() -> None:
    key = ReplyKey(lifetime_s=0.001)
    seen = [key.current]
    key.start()
    async with asyncio.timeout(5):
        while len(seen) < 4:  # nothing is asked meanwhile
            await asyncio.sleep(0)
            if key.current is not seen[-1]:
                seen.append(key.current)
    key.stop()
    assert len({each.public_key().public_bytes_raw() for each in seen}) == 4
    assert key.current is not seen[-1], "stopped, it forgets"
    assert "***" in repr(key)


def test_every_request_topic_is_answered_by_one_role() -> None:
    assert ACCOUNT_REQUESTS.readers == ("account",)
    assert KEY_REQUESTS.readers == ("license",)
