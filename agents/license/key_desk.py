"""Answers packagers: a content's keys, made where they are missing, the same ever after."""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import Final

from agents.license.keys import KeyRing, KeyServiceError
from agents.shell import ShellPorts, Work
from schemas import codec
from schemas.envelope import Refused, Request, Role
from schemas.errors import InvalidMessageError, RetryableError
from schemas.licenses import ContentKeys, RequestContentKeys
from streams.records import Record
from streams.replies import Asked, Desk
from streams.topics import CONTENT_KEYS

log = logging.getLogger(__name__)
PACKAGERS: Final[frozenset[Role]] = frozenset({"packager"})
_requests: Final[codec.Decoder[RequestContentKeys]] = codec.Decoder(RequestContentKeys)


class KeyDesk:
    """Takes `key.requests.v1`. A key is acknowledged in the log, wrapped, before it is given."""

    def __init__(self, ports: ShellPorts, desk: Desk, keys: KeyRing) -> None:
        self._ports = ports
        self._desk = desk
        self._keys = keys
        self._one_at_a_time = asyncio.Lock()

    def handle(self, record: Record[Request]) -> Work | None:
        """Raises InvalidMessageError for what no packager signed or nobody can read."""
        asked = self._desk.open(record, PACKAGERS)
        if asked is None:
            return None
        request = _requests.decode(asked.body)
        if request.content_id != record.key:
            raise InvalidMessageError("key", "the request is for another content than its key")
        return self._serve(asked, request)

    async def _serve(self, asked: Asked, request: RequestContentKeys) -> None:
        async with self._one_at_a_time:
            answer = await self._answer(request)
        try:
            await self._desk.reply(asked, answer)
        except RetryableError as error:
            log.warning("a packager's answer was not delivered: %s", error)

    async def _answer(self, request: RequestContentKeys) -> ContentKeys | Refused:
        try:
            made = self._keys.make_missing(
                request.content_id,
                request.tiers,
                now_ms=self._ports.clock(),
                randomness=secrets.token_bytes,
            )
            for key in made:
                await self._ports.publisher.publish(CONTENT_KEYS, key.key_id, key)
            keys = self._keys.for_packager(request.content_id, request.tiers)
        except KeyServiceError as error:
            log.error("the key service failed: %s", error)  # noqa: TRY400 - no trace near keys
            return Refused(status=503, reason="key-service")
        return ContentKeys(content_id=request.content_id, keys=keys)
