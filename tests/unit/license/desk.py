"""The key desk without a log: what is asked is answered at once."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

import msgspec

from agents.license.key_delivery import PackagerTrust
from agents.license.key_desk import KeyDesk
from agents.license.keys import KeyRing
from agents.license.rotation import Rotator
from agents.shell import ShellPorts
from schemas import codec
from schemas.envelope import Request, Role
from schemas.errors import InvalidMessageError
from schemas.packaging import KeyRequest
from streams.metrics import WorkerMetrics
from streams.records import Record
from streams.replies import Asked
from streams.topics import KEY_REQUESTS
from tests.gateway_fakes import MemoryClock, MemoryPublisher
from tests.unit.license.key_service import give, keks_of

T = TypeVar("T")


class MemoryDesk:
    """`streams.replies.Desk` whose signatures are all right."""

    def __init__(self) -> None:
        self.role: Role = "gateway"
        self.answers: list[msgspec.Struct] = []

    def is_late(self, _: Request) -> bool:
        return False

    def open(self, record: Record[Request], roles: frozenset[Role]) -> Asked:
        if self.role not in roles:
            raise InvalidMessageError("forged", "the sender is not enrolled")
        return Asked(record.value, record, self.role)

    async def reply(self, _: Asked, answer: msgspec.Struct) -> None:
        self.answers.append(answer)


class DeskOfKeys:
    """A license agent's key desk with a key-encryption key of its own."""

    def __init__(self, trust: PackagerTrust) -> None:
        self.clock = MemoryClock()
        self.publisher = MemoryPublisher(self.clock)
        self.keks = keks_of(clock=self.clock)
        give(self.keks)
        self.ring = KeyRing(self.keks)
        self.desk = MemoryDesk()
        publisher: Any = self.publisher
        desk: Any = self.desk
        nobody: Any = None
        metrics: WorkerMetrics = nobody
        ports = ShellPorts(
            broker=nobody, publisher=publisher, clock=self.clock, metrics=metrics, halt=nobody
        )
        rotator = Rotator(ports, self.keks, self.ring, nobody)
        self._key_desk = KeyDesk(ports, desk, self.ring, rotator, trust)

    def ask(self, request: KeyRequest, *, key: str | None = None, role: Role = "gateway") -> Any:
        """The answer. Raises InvalidMessageError for what goes to the dead letters."""
        envelope = Request(
            request_id="request",
            sender="sender",
            not_after_ms=self.clock() + 1_000,
            reply_partition=0,
            reply_key=b"",
            body=msgspec.Raw(codec.encode(request)),
        )
        self.desk.role = role
        record = Record(
            topic=KEY_REQUESTS.name,
            partition=0,
            offset=0,
            timestamp_ms=self.clock(),
            key=getattr(request, "content_id", "") if key is None else key,
            value=envelope,
            headers={},
        )
        work = self._key_desk.handle(record)
        assert work is not None
        run(work)
        return self.desk.answers.pop()


def run(work: Coroutine[Any, Any, T]) -> T:
    """Its result; nothing here ever waits."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("it waited")
