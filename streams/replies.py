"""Answering over the log: who asked, is it still wanted, and the answer only for them."""

from __future__ import annotations

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
from streams.requests import (
    AGENT_HEADER,
    ASKER_HEADER,
    REQUEST_HEADER,
    SIGNATURE_HEADER,
    reply_info,
    signed_bytes,
)
from streams.sealing import seal
from streams.topics import GATEWAY_REPLIES

GATEWAYS: Final[frozenset[Role]] = frozenset({"gateway"})


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


class Desk:
    """An agent's counter: takes signed requests, gives sealed answers."""

    def __init__(
        self, publisher: Publisher, identity: Identity, directory: Directory, *, clock: Clock
    ) -> None:
        self._publisher = publisher
        self._identity = identity
        self._directory = directory
        self._clock = clock

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
        """Sign the answer, seal it to the asker's reply key, write it to its partition."""
        request = asked.request
        info = reply_info(request.request_id, self._identity.key_id)
        sealed = seal(codec.encode(answer), request.reply_key, info)
        await self._publisher.publish(
            GATEWAY_REPLIES,
            request.request_id,
            sealed,
            headers={
                REQUEST_HEADER: request.request_id.encode(),
                AGENT_HEADER: self._identity.key_id.encode(),
                ASKER_HEADER: asked.record.headers.get(ASKER_HEADER, b""),
                SIGNATURE_HEADER: self._identity.sign(info + sealed),
            },
            partition=request.reply_partition,
        )
