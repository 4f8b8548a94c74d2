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
from streams.reply_key import ReplyKey, context_info, context_signed
from streams.requests import (
    AGENT_HEADER,
    CONTEXT_HEADER,
    REQUEST_HEADER,
    SIGNATURE_HEADER,
    Asker,
    NoAnswerError,
    reply_info,
)
from streams.sealing import OpeningContext, SealingContext
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
    encapsulated = dict(reply.headers)[CONTEXT_HEADER]
    for key in (second._reply_key.current.private, stage.gateway.sealing, stage.agent.sealing):
        context = OpeningContext(key, encapsulated, context_info(stage.agent.key_id))
        with pytest.raises(InvalidMessageError, match="sealed"):
            context.open(reply.value, info)
    opened.answer.set_exception(NoAnswerError("over"))
    with pytest.raises(NoAnswerError):
        await again


async def test_answers_of_a_minute_share_one_exchange_and_one_signature(stage: Stage) -> None:
    asker = stage.asker()
    replies = []
    for _ in range(3):
        waiting = ask(asker)
        await stage.request()
        replies.append(await stage.reply())
        asker._take(replies[-1])
        assert await waiting == Done()
        stage.wire.written.clear()
    contexts = {dict(each.headers)[CONTEXT_HEADER] for each in replies}
    assert len(contexts) == 1
    assert len({each.value for each in replies}) == 3
    ((name, signed),) = stage.desk._contexts.items()
    stage.desk._forget(name, signed)
    waiting = ask(asker)
    await stage.request()
    asker._take(await stage.reply())
    assert await waiting == Done()
    ((_, renewed),) = stage.desk._contexts.items()
    assert {renewed.context.encapsulated} != contexts, "forgotten, it does not come again"


async def test_an_answer_counts_for_its_own_request_alone(stage: Stage) -> None:
    """Of two in one context, neither is the other's, whatever its headers say."""
    asker = stage.asker()
    first = ask(asker, "first")
    await stage.request()
    reply = await stage.reply()
    stage.wire.written.clear()
    second = ask(asker, "second")
    await stage.request()
    other = next(name for name in asker._open if name.startswith("second"))
    turned = {**dict(reply.headers), REQUEST_HEADER: other.encode()}
    asker._take(Consumed(other, reply.value, turned))
    assert not asker._open[other].answer.done()
    asker._take(await stage.reply())
    asker._take(reply)
    assert [await first, await second] == [Done(), Done()]


async def test_a_context_that_another_made_is_not_believed(stage: Stage) -> None:
    """Who knows the reply key from the request, but has no enrolled key, makes none."""
    asker = stage.asker()
    waiting = ask(asker)
    request = await stage.request()
    intruder = identity("license")
    for signer in (intruder, stage.gateway):
        info = context_info(stage.agent.key_id)
        context = SealingContext(request.reply_key, info)
        signed = context_signed(info, request.reply_key, context.encapsulated)
        headers = {
            REQUEST_HEADER: request.request_id.encode(),
            AGENT_HEADER: stage.agent.key_id.encode(),
            CONTEXT_HEADER: context.encapsulated,
            SIGNATURE_HEADER: signer.sign(signed),
        }
        sealed = context.seal(
            codec.encode(Done()), reply_info(request.request_id, stage.agent.key_id)
        )
        asker._take(Consumed("x", sealed, headers))
    (still,) = asker._open.values()
    assert not still.answer.done()
    asker._take(await stage.reply())
    assert await waiting == Done()


async def test_an_asker_of_the_version_before_is_answered_as_it_knows(stage: Stage) -> None:
    """And such an answer is understood by one of this version."""
    asker = stage.asker()
    waiting = ask(asker)
    await stage.request()
    _, key, _, headers = stage.wire.rows[-1]
    del headers[CONTEXT_HEADER]
    reply = await stage.reply()
    assert CONTEXT_HEADER not in dict(reply.headers)
    changed = bytes([reply.value[0] ^ 1]) + reply.value[1:]
    asker._take(Consumed(key, changed, dict(reply.headers)))
    (still,) = asker._open.values()
    assert not still.answer.done()
    asker._take(reply)
    assert await waiting == Done()


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
    assert len({each.public for each in seen}) == 4
    assert key.current is not seen[-1], "stopped, it forgets"
    assert "***" in repr(key.current)


def test_every_request_topic_is_answered_by_one_role() -> None:
    assert ACCOUNT_REQUESTS.readers == ("account",)
    assert KEY_REQUESTS.readers == ("license",)
