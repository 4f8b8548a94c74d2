"""Answering over the log: who asked, is it still wanted, and the answer only for them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import msgspec

from schemas import codec
from schemas.envelope import Request, Role
from schemas.errors import InvalidMessageError
from streams.clock import Clock
from streams.identity import Directory, Identity, is_signature
from streams.producer import Publisher
from streams.records import Record
from streams.reply_key import context_info, context_signed
from streams.requests import (
    AGENT_HEADER,
    ASKER_HEADER,
    CONTEXT_HEADER,
    REQUEST_HEADER,
    SIGNATURE_HEADER,
    reply_info,
    signed_bytes,
)
from streams.sealing import SealingContext, seal
from streams.topics import GATEWAY_REPLIES

GATEWAYS: Final[frozenset[Role]] = frozenset({"gateway"})
CONTEXT_S_MAX: Final = 60.0
"""It is forgotten then: who reads this memory later opens nothing of what was sealed in it."""
CONTEXTS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that an enrolled component signed and that still has time."""

    request: Request
    record: Record[Request]
    role: Role
    """Of who signed it."""

    @property
    def body(self) -> msgspec.Raw:
        """What is asked."""
        return self.request.body

    @property
    def request_id(self) -> str:
        """The same for every retry of the same question; the wire's own suffix is cut off."""
        return self.request.request_id.partition(".")[0]


@dataclass(frozen=True, slots=True)
class _SignedContext:
    """One key exchange with a reply key, signed once: who could not have made the signature cannot
    make a message of it either."""

    context: SealingContext
    signature: bytes


class Desk:
    """An agent's counter: takes signed requests, gives sealed answers."""

    def __init__(
        self, publisher: Publisher, identity: Identity, directory: Directory, *, clock: Clock
    ) -> None:
        self._publisher = publisher
        self._identity = identity
        self._directory = directory
        self._clock = clock
        self._contexts: OrderedDict[tuple[bytes, str], _SignedContext] = OrderedDict()
        """By reply key and the id of the key that signed."""

    def open(self, record: Record[Request], roles: frozenset[Role] = GATEWAYS) -> Asked | None:
        """The request, or None where its time has passed: then nothing may be done.

        Raises InvalidMessageError (reason `forged`) where no enrolled component of `roles`
        signed it.
        """
        request = record.value
        enrolled = self._directory.by_id(request.sender)
        if enrolled is None or enrolled.role not in roles:
            raise InvalidMessageError("forged", "the sender is not enrolled")
        key = self._directory.signing_key(request.sender, enrolled.role)
        assert key is not None
        covered = signed_bytes(record.topic, record.key, codec.encode(request))
        if not is_signature(key, record.headers.get(SIGNATURE_HEADER, b""), covered):
            raise InvalidMessageError("forged", "the request's signature is wrong")
        if self.is_late(request):
            return None
        return Asked(request, record, enrolled.role)

    def is_late(self, request: Request) -> bool:
        """Whether nobody waits for the answer any more; asked again right before the reply."""
        return self._clock() > request.not_after_ms

    async def reply(self, asked: Asked, answer: msgspec.Struct) -> None:
        """Seal the answer to the asker's reply key, in a context that this agent signed, and write
        it to the asker's partition."""
        request = asked.request
        plain = codec.encode(answer)
        info = reply_info(request.request_id, self._identity.key_id)
        headers = {
            REQUEST_HEADER: request.request_id.encode(),
            AGENT_HEADER: self._identity.key_id.encode(),
            ASKER_HEADER: asked.record.headers.get(ASKER_HEADER, b""),
        }
        if CONTEXT_HEADER in asked.record.headers:
            signed = self._context(request.reply_key)
            sealed = signed.context.seal(plain, info)
            headers[CONTEXT_HEADER] = signed.context.encapsulated
            headers[SIGNATURE_HEADER] = signed.signature
        else:  # who asks is of the version before
            sealed = seal(plain, request.reply_key, info)
            headers[SIGNATURE_HEADER] = self._identity.sign(info + sealed)
        await self._publisher.publish(
            GATEWAY_REPLIES,
            request.request_id,
            sealed,
            headers=headers,
            partition=request.reply_partition,
        )

    def _context(self, reply_key: bytes) -> _SignedContext:
        """The one for this reply key, made and signed where there is none."""
        name = (reply_key, self._identity.key_id)
        known = self._contexts.get(name)
        if known is None:
            info = context_info(self._identity.key_id)
            context = SealingContext(reply_key, info)
            signature = self._identity.sign(context_signed(info, reply_key, context.encapsulated))
            known = self._contexts[name] = _SignedContext(context, signature)
            asyncio.get_running_loop().call_later(CONTEXT_S_MAX, self._forget, name, known)
            if len(self._contexts) > CONTEXTS_MAX:
                self._contexts.popitem(last=False)
        return known

    def _forget(self, name: tuple[bytes, str], context: _SignedContext) -> None:
        if self._contexts.get(name) is context:
            del self._contexts[name]
