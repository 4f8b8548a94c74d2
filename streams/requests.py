"""Asking over the log: a signed request, a deadline, a sealed answer.

The request is signed by the asker's enrolled key over topic, key and value (which holds the
deadline, the reply partition and the reply key). The answer comes sealed to a key that only this
process has in memory, in a context that an enrolled agent signed (`reply_key.py`).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas import codec
from schemas.envelope import Refused, Request, Role
from schemas.errors import InvalidMessageError, PlayheadError, RetryableError
from streams.broker import RETRY_BACKOFF_MS, Broker
from streams.clock import Clock
from streams.identity import Directory, Identity, is_signature
from streams.producer import Publisher
from streams.reply_key import HeldKey, ReplyKey
from streams.sealing import unseal
from streams.topic import Topic
from streams.topics import GATEWAY_REPLIES

A = TypeVar("A")
log = logging.getLogger(__name__)

SIGNATURE_HEADER = "signature"
ASKER_HEADER = "asker"
REQUEST_HEADER = "request"
AGENT_HEADER = "agent"
CONTEXT_HEADER = "context"
"""Of a request: answers may come in contexts. Of an answer: the encapsulated key of its context."""
OPEN_REQUESTS_MAX = 10_000


class RefusedError(PlayheadError):
    """The agent answered that it cannot be granted."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(f"{refused.status} {refused.reason}")
        self.refused = refused


class NoAnswerError(RetryableError):
    """No agent answered before the deadline; what it would have said is unknown."""


def signed_bytes(topic: str, key: str, value: bytes) -> bytes:
    """What a request's signature covers."""
    return b"\x1f".join((topic.encode(), key.encode(), value))


def reply_info(request_id: str, agent_key_id: str) -> bytes:
    """What ties an answer to its request and its agent."""
    return f"playhead reply v1 {request_id} {agent_key_id}".encode()


@lru_cache(maxsize=64)
def _answer_decoder(answer: Any) -> codec.Decoder[Any]:
    return codec.Decoder(answer | Refused)


@dataclass(slots=True)
class _Open:
    """A request that waits for its answer, and the key that opens it."""

    reply_key: HeldKey
    role: Role | None
    answer: asyncio.Future[bytes] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def end_if_failed(self, sending: asyncio.Task[None]) -> None:
        """The request is written, or not: then no answer comes."""
        error = None if sending.cancelled() else sending.exception()
        if error is not None and not self.answer.done():
            self.answer.set_exception(error)


class Asker:
    """Asks agents and waits for their answers on one reply partition of its own."""

    def __init__(
        self,
        broker: Broker,
        publisher: Publisher,
        identity: Identity,
        directory: Directory,
        *,
        clock: Clock,
        reply_partition: int | None = None,
    ) -> None:
        self._broker = broker
        self._publisher = publisher
        self._identity = identity
        self._directory = directory
        self._clock = clock
        self._instance = secrets.token_hex(8).encode()
        self._partition = (
            secrets.randbelow(GATEWAY_REPLIES.partitions)
            if reply_partition is None
            else reply_partition
        )
        self._open: dict[str, _Open] = {}
        self._reply_key = ReplyKey()
        self._consumer: AIOKafkaConsumer | None = None
        self._listener: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen from the reply partition's end on; the publisher must be started."""
        self._consumer = AIOKafkaConsumer(
            **self._broker.client_options(),
            group_id=None,
            enable_auto_commit=False,
            fetch_max_wait_ms=500,
            retry_backoff_ms=RETRY_BACKOFF_MS,
        )
        await self._consumer.start()
        mine = TopicPartition(self._broker.physical(GATEWAY_REPLIES.name), self._partition)
        self._consumer.assign([mine])
        await self._consumer.seek_to_end(mine)
        await self._consumer.position(mine)
        self._listener = asyncio.create_task(self._listen(), name="replies")
        self._reply_key.start()

    async def stop(self) -> None:
        """Disconnect; who still waits gets NoAnswerError at the deadline."""
        self._reply_key.stop()
        if self._listener is not None:
            self._listener.cancel()
            with suppress(asyncio.CancelledError):
                await self._listener
        if self._consumer is not None:
            await self._consumer.stop()

    async def ask(
        self,
        topic: Topic,
        key: str,
        body: msgspec.Struct,
        answer: type[A] | Any,
        *,
        deadline_ms: int = 2000,
        request_id: str | None = None,
    ) -> A:
        """The agent's answer.

        Raises RefusedError, NoAnswerError after `deadline_ms`, or UnavailableError where the
        request itself could not be written.
        """
        if len(self._open) >= OPEN_REQUESTS_MAX:
            raise NoAnswerError("too many requests are open")
        request_id = request_id or secrets.token_hex(16)
        waiting = _Open(self._reply_key.current, _role_of(topic))
        wire_id = f"{request_id}.{secrets.token_hex(4)}"  # a retry must not take the first's answer
        self._open[wire_id] = waiting
        # The answer may be here before the log's acknowledgment is.
        sending = asyncio.create_task(self._send(topic, key, body, wire_id, waiting, deadline_ms))
        sending.add_done_callback(waiting.end_if_failed)
        try:
            async with asyncio.timeout(deadline_ms / 1000):
                sealed = await waiting.answer
        except TimeoutError as error:
            raise NoAnswerError(f"no answer on {topic.name} within {deadline_ms} ms") from error
        finally:
            del self._open[wire_id]
            sending.cancel()
        wanted: Any = answer
        reply = _answer_decoder(wanted).decode(sealed)
        if isinstance(reply, Refused):
            raise RefusedError(reply)
        answered: A = reply
        return answered

    async def _send(
        self,
        topic: Topic,
        key: str,
        body: msgspec.Struct,
        wire_id: str,
        waiting: _Open,
        deadline_ms: int,
    ) -> None:
        value = codec.encode(
            Request(
                request_id=wire_id,
                sender=self._identity.key_id,
                not_after_ms=self._clock() + deadline_ms,
                reply_partition=self._partition,
                reply_key=waiting.reply_key.public,
                body=msgspec.Raw(codec.encode(body)),
            )
        )
        signature = self._identity.sign(signed_bytes(topic.name, key, value))
        await self._publisher.publish(
            topic,
            key,
            value,
            headers={
                SIGNATURE_HEADER: signature,
                ASKER_HEADER: self._instance,
                CONTEXT_HEADER: b"1",
            },
        )

    async def _listen(self) -> None:
        assert self._consumer is not None
        while True:
            try:
                async for record in self._consumer:
                    self._take(record)
            except KafkaError as error:
                log.warning("replies wait for the broker: %s", error)
                await asyncio.sleep(0.2)

    def _take(self, record: Any) -> None:
        """Resolve the request that this answers; everything else is skipped undecoded."""
        headers = dict(record.headers)
        waiting = self._open.get(headers.get(REQUEST_HEADER, b"").decode(errors="replace"))
        if waiting is None or waiting.answer.done() or record.value is None:
            return
        try:
            waiting.answer.set_result(self._opened(waiting, headers, record.value))
        except InvalidMessageError as error:
            log.warning("dropped a reply: %s", error)

    def _opened(self, waiting: _Open, headers: dict[str, bytes], sealed: bytes) -> bytes:
        request_id = headers[REQUEST_HEADER].decode()
        agent = headers.get(AGENT_HEADER, b"").decode(errors="replace")
        info = reply_info(request_id, agent)
        enrolled = self._directory.by_id(agent)
        if enrolled is None or (waiting.role is not None and enrolled.role != waiting.role):
            raise InvalidMessageError("forged", "the answer is not from an enrolled agent")
        key = self._directory.signing_key(agent, enrolled.role)
        assert key is not None
        signature, encapsulated = headers.get(SIGNATURE_HEADER, b""), headers.get(CONTEXT_HEADER)
        if encapsulated is not None:
            return waiting.reply_key.context(agent, key, encapsulated, signature).open(sealed, info)
        # An agent of the version before seals and signs each answer by itself.
        if not is_signature(key, signature, info + sealed):
            raise InvalidMessageError("forged", "the answer's signature is wrong")
        return unseal(sealed, waiting.reply_key.private, info)


def _role_of(topic: Topic) -> Role | None:
    """The one role whose answers count on this topic: that of its reader."""
    return topic.readers[0] if len(topic.readers) == 1 else None  # type: ignore[return-value]  # readers of request topics are roles
